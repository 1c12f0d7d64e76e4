//! The counters of a running agent, read from Flume's JSON at `/metrics`.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::http;

/// One reading of all counters.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    components: Map<String, Value>,
}

impl Metrics {
    /// Reads the counters of the agent whose monitoring port is `port`.
    ///
    /// # Errors
    /// When nobody answers there, or the answer is not the JSON object of Flume.
    pub fn read(port: u16) -> Result<Self> {
        let reply = http::get(port, "/metrics")?;
        if reply.status != 200 {
            bail!(
                "/metrics on port {port} answers {}: {}",
                reply.status,
                reply.body
            );
        }
        Self::parse(&reply.body)
    }

    fn parse(text: &str) -> Result<Self> {
        match serde_json::from_str(text).context("the metrics are not JSON")? {
            Value::Object(components) => Ok(Self { components }),
            other => bail!("the metrics are not a JSON object: {other}"),
        }
    }

    /// Whether a component such as `CHANNEL.c1` has counters now.
    #[must_use]
    pub fn has(&self, component: &str) -> bool {
        self.components.contains_key(component)
    }

    /// The names of the components that have counters now, such as `SINK.k1`.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }

    /// The text of an attribute, or nothing when the component or the attribute is missing.
    /// Flume writes every value, numbers too, as a JSON string.
    #[must_use]
    pub fn text(&self, component: &str, attribute: &str) -> Option<&str> {
        self.components.get(component)?.get(attribute)?.as_str()
    }

    /// A counter, or nothing when it is missing or not a whole number.
    #[must_use]
    pub fn count(&self, component: &str, attribute: &str) -> Option<u64> {
        self.text(component, attribute)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_from_strings() {
        let metrics =
            Metrics::parse(r#"{"CHANNEL.c1":{"ChannelSize":"7","Type":"CHANNEL"}}"#).unwrap();
        assert_eq!(metrics.count("CHANNEL.c1", "ChannelSize"), Some(7));
        assert_eq!(metrics.count("CHANNEL.c1", "Type"), None);
        assert_eq!(metrics.text("CHANNEL.c1", "Type"), Some("CHANNEL"));
        assert_eq!(metrics.count("CHANNEL.c2", "ChannelSize"), None);
        assert!(metrics.has("CHANNEL.c1"));
        assert_eq!(metrics.components().collect::<Vec<_>>(), ["CHANNEL.c1"]);
    }

    #[test]
    fn a_number_that_is_not_a_string_is_not_flumes() {
        let metrics = Metrics::parse(r#"{"SINK.k1":{"BatchEmptyCount":7}}"#).unwrap();
        assert_eq!(metrics.count("SINK.k1", "BatchEmptyCount"), None);
        assert!(Metrics::parse("[]").is_err());
    }
}
