//! Bytes to values and back, without sockets: text lines, character sets, Flume's hex dump, JSON.

pub mod charset;
