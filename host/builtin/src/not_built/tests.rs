//! What holds for all rows.

use std::collections::BTreeSet;

use flumen_core::option::{Catalogue, ComponentKind, DefaultValue, OptionRow, Support};

use super::*;

/// Types that options of these rows may name although they are built, and so have their row
/// beside their component.
const BUILT_ELSEWHERE: &[(ComponentKind, &str)] = &[(ComponentKind::EventSerializer, "TEXT")];

#[test]
fn no_two_rows_of_a_kind_share_a_name() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        for name in std::iter::once(&row.name).chain(row.aliases) {
            assert!(
                seen.insert((row.kind, name.to_ascii_lowercase())),
                "{} {name} is named twice",
                row.kind.word()
            );
        }
    }
}

#[test]
fn no_two_options_of_a_component_share_a_spelling() {
    for row in rows() {
        let mut seen = BTreeSet::new();
        for option in row.options {
            for name in std::iter::once(&option.name).chain(option.aliases) {
                assert!(
                    seen.insert(*name),
                    "{} {}: {name} is there twice",
                    row.kind.word(),
                    row.name
                );
            }
        }
    }
}

#[test]
fn every_option_is_found_by_each_of_its_spellings() {
    for row in rows() {
        for option in row.options {
            for name in std::iter::once(&option.name).chain(option.aliases) {
                let found = row.option(name).map(|found| found.name);
                assert_eq!(
                    found,
                    Some(option.name),
                    "{} {}: {name}",
                    row.kind.word(),
                    row.name
                );
            }
        }
    }
}

#[test]
fn every_row_and_option_is_described() {
    for row in rows() {
        assert!(is_sentence(row.doc), "{} {}", row.kind.word(), row.name);
        for option in row.options {
            assert!(
                is_sentence(option.doc),
                "{} {}: {}",
                row.kind.word(),
                row.name,
                option.name
            );
        }
    }
}

fn is_sentence(doc: &str) -> bool {
    doc.ends_with('.') && doc.starts_with(char::is_uppercase) && !doc.contains("  ")
}

#[test]
fn no_row_is_built_and_no_option_claims_more_than_its_row() {
    for row in rows() {
        assert_eq!(row.support, Support::NotBuilt, "{}", row.name);
        for option in row.options {
            assert_eq!(
                option.support,
                Support::Built,
                "{}: {}",
                row.name,
                option.name
            );
        }
    }
}

#[test]
fn every_default_is_a_value_of_its_option() {
    let catalogue = Catalogue::new(rows());
    for row in rows() {
        for option in row.options {
            if let DefaultValue::Is(default) = option.default {
                assert!(
                    is_value(&catalogue, option, default),
                    "{} {}: {} = {default}",
                    row.kind.word(),
                    row.name,
                    option.name
                );
            }
        }
    }
}

fn is_value(catalogue: &Catalogue, option: &OptionRow, text: &str) -> bool {
    match option.value {
        ValueKind::Boolean => ["true", "false"].contains(&text),
        ValueKind::Integer { min, max } => text
            .parse()
            .is_ok_and(|number: i64| (min..=max).contains(&number)),
        ValueKind::Choice(words) => words.contains(&text),
        ValueKind::Component(kind) => {
            catalogue.find(kind, text).is_some() || BUILT_ELSEWHERE.contains(&(kind, text))
        }
        ValueKind::Text | ValueKind::List => true,
        // A secret with a default would be no secret, and no channel is there by default.
        ValueKind::Secret | ValueKind::Channel => false,
    }
}

#[test]
fn only_numbers_and_lists_of_numbers_have_a_unit() {
    for row in rows() {
        for option in row.options {
            if option.unit.is_some() {
                assert!(
                    matches!(option.value, ValueKind::Integer { .. } | ValueKind::List),
                    "{}: {}",
                    row.name,
                    option.name
                );
            }
        }
    }
}

#[test]
fn passwords_are_secrets() {
    for row in rows() {
        for option in row.options {
            let name = option.name.to_ascii_lowercase();
            if name.ends_with("password") || name.ends_with("jaas.config") {
                assert_eq!(
                    option.value,
                    ValueKind::Secret,
                    "{}: {}",
                    row.name,
                    option.name
                );
            }
        }
    }
}

#[test]
fn each_type_of_flume_that_is_not_built_is_known_by_its_alias_and_by_its_class() {
    use ComponentKind::*;
    let catalogue = Catalogue::new(rows());
    for (kind, names) in [
        (
            Source,
            "netcatudp avro thrift syslogtcp multiport_syslogtcp syslogudp spooldir http jms \
             TAILDIR EMBEDDED org.apache.flume.source.kafka.KafkaSource \
             org.apache.flume.source.scribe.ScribeSource \
             org.apache.flume.source.twitter.TwitterSource \
             org.apache.flume.source.avroLegacy.AvroLegacySource \
             org.apache.flume.source.thriftLegacy.ThriftLegacySource \
             org.apache.flume.source.taildir.TaildirSource \
             org.apache.flume.source.http.HTTPSource",
        ),
        (
            Sink,
            "hdfs irc avro thrift hbase hbase2 asynchbase morphline_solr hive http \
             elasticsearch org.apache.flume.sink.kafka.KafkaSink \
             org.apache.flume.sink.kudu.KuduSink org.apache.flume.sink.kite.DatasetSink \
             org.apache.flume.sink.hdfs.HDFSEventSink \
             org.apache.flume.sink.solr.morphline.MorphlineSink",
        ),
        (
            Channel,
            "org.apache.flume.channel.kafka.KafkaChannel \
             org.apache.flume.channel.PseudoTxnMemoryChannel",
        ),
        (
            ChannelSelector,
            "load_balancing org.apache.flume.channel.LoadBalancingChannelSelector",
        ),
        (
            SinkProcessor,
            "failover load_balance org.apache.flume.sink.FailoverSinkProcessor",
        ),
        (
            Interceptor,
            "regex_extractor remove_header search_replace \
             org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder \
             org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder",
        ),
        (
            EventSerializer,
            "HEADER_AND_TEXT AVRO_EVENT org.apache.flume.sink.hdfs.AvroEventSerializer$Builder",
        ),
        (
            Deserializer,
            "LINE AVRO org.apache.flume.sink.solr.morphline.BlobDeserializer$Builder",
        ),
        (ConfigFilter, "external hadoop"),
        (
            HttpHandler,
            "org.apache.flume.source.http.JSONHandler \
             org.apache.flume.sink.solr.morphline.BlobHandler",
        ),
    ] {
        for name in names.split(' ') {
            let found = catalogue.find(kind, name);
            assert!(found.is_some(), "{} {name}", kind.word());
        }
    }
}
