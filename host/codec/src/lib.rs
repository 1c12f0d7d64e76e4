//! Bytes to values and back, without sockets: text lines, character sets, Flume's hex dump, JSON, the
//! files of Flume's file channel.

pub mod charset;
pub mod flume_log;
