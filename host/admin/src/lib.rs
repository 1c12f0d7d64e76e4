//! What is seen from outside over HTTP: metrics. Talks to the agent's handle only.
//!
//! * `server`: a listener with bounds; one small HTTP/1 server for people and scrapers.
//! * `answer`: which request gets which page.
//! * `flume_json`: Flume's JSON, at `/metrics`.
//! * `prometheus`: the Prometheus text format, at `/metrics/prometheus`; its names are data in
//!   `families`.
//!
//! What is not here: authentication and TLS. The pages only tell, they change nothing; who may read
//! them is decided by the address, which is loopback unless the operator says otherwise.

mod answer;
mod families;
mod flume_json;
mod picture;
mod prometheus;
mod server;

pub use flume_json::flume_json;
pub use picture::Picture;
pub use prometheus::prometheus_text;
pub use server::{BindError, MetricsListener, MetricsServer};
