//! Sinks that are not built.

mod elasticsearch;
mod hbase;
mod hdfs;
mod hive;
mod http;
mod irc;
mod kite;
mod kudu;
mod morphline;
mod rpc;

use flumen_core::option::ComponentRow;

use super::kafka;

pub(super) static ROWS: &[&ComponentRow] = &[
    &hdfs::HDFS,
    &rpc::AVRO,
    &rpc::THRIFT,
    &http::HTTP,
    &kafka::SINK,
    &hive::HIVE,
    &hbase::HBASE,
    &hbase::HBASE2,
    &hbase::ASYNC_HBASE,
    &morphline::MORPHLINE_SOLR,
    &kudu::KUDU,
    &elasticsearch::ELASTICSEARCH,
    &kite::KITE,
    &irc::IRC,
];
