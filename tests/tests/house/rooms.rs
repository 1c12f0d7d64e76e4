//! Who may use whom, and which foreign crate has its home where. The tables are those of
//! ARCHITECTURE.md; what they do not permit is forbidden, a room they do not know too.

use std::process::Command;

use serde_json::Value;

use super::{Violation, assert_none, tree};

/// A room, and the rooms it may use.
const ROOMS: [(&str, &[&str]); 13] = [
    ("flumen-core", &[]),
    ("flumen-config", &["flumen-core"]),
    ("flumen-codec", &["flumen-core"]),
    ("flumen-wal", &[]),
    ("flumen-clients", &["flumen-core"]),
    (
        "flumen-channel",
        &[
            "flumen-core",
            "flumen-codec",
            "flumen-wal",
            "flumen-clients",
        ],
    ),
    (
        "flumen-builtin",
        &["flumen-core", "flumen-codec", "flumen-clients"],
    ),
    ("flumen-wasm", &["flumen-core"]),
    (
        "flumen-agent",
        &[
            "flumen-core",
            "flumen-config",
            "flumen-channel",
            "flumen-builtin",
            "flumen-wasm",
        ],
    ),
    ("flumen-admin", &["flumen-core", "flumen-agent"]),
    ("flumen", &["flumen-config", "flumen-agent", "flumen-admin"]),
    // For the driver of the crash rig alone, which is a process that is killed.
    (
        "flumen-tests",
        &["flumen-core", "flumen-wal", "flumen-channel"],
    ),
    // Not a member of this workspace; here so that nobody adds it as one with an edge to the host.
    ("flumen-sdk", &[]),
];

/// What the tests of every room may use besides: the conformance suites live there. They may also
/// use their own room with other features.
const FREE_IN_TESTS: &str = "flumen-core";

/// Foreign crates that only some rooms may name. A name that ends with a star stands for all that
/// begin like it.
const HOMES: [(&[&str], &[&str]); 6] = [
    (&["wasmtime*", "wit-bindgen*"], &["flumen-wasm"]),
    (
        &[
            "rdkafka*",
            "hdfs-native*",
            "rusqlite",
            "sqlx*",
            "tokio-postgres",
            "mysql_async",
            "tiberius",
        ],
        &["flumen-clients"],
    ),
    (
        &["hyper", "hyper-util", "http-body-util", "axum", "warp"],
        &["flumen-admin"],
    ),
    (&["notify", "redb"], &["flumen-agent"]),
    (&["lexopt", "anyhow"], &["flumen", "flumen-tests"]),
    // The wasm room only in its tests, which read the log that guests write.
    (&["tracing-subscriber"], &["flumen", "flumen-wasm"]),
];

/// Foreign crates that a room may not name outside its tests.
const BANNED: [(&str, &[&str]); 5] = [
    (
        "flumen-core",
        &[
            "tokio*", "mio", "socket2", "rustix", "libc", "tracing*", "jiff",
        ],
    ),
    (
        "flumen-config",
        &["tokio*", "mio", "socket2", "rustix", "libc", "reqwest"],
    ),
    (
        "flumen-codec",
        &["tokio*", "mio", "socket2", "rustix", "libc", "futures*"],
    ),
    ("flumen-wal", &["tokio*", "jiff", "chrono", "time"]),
    ("flumen-wasm", &["notify", "socket2"]),
];

/// One dependency of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

fn forbidden(edges: &[Edge]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for edge in edges {
        let Some((_, permitted)) = ROOMS.iter().find(|(room, _)| *room == edge.from) else {
            let what = "a room that the table in tests/tests/house/rooms.rs does not know; add it there and in ARCHITECTURE.md";
            violations.push(Violation {
                place: edge.from.clone(),
                what: what.to_owned(),
            });
            continue;
        };
        let complaint = if is_room(&edge.to) {
            room_complaint(edge, permitted)
        } else {
            home_complaint(edge).or_else(|| ban_complaint(edge))
        };
        if let Some(what) = complaint {
            violations.push(Violation {
                place: edge.from.clone(),
                what,
            });
        }
    }
    violations.dedup();
    violations
}

fn is_room(name: &str) -> bool {
    name == "flumen" || name.starts_with("flumen-")
}

fn room_complaint(edge: &Edge, permitted: &[&str]) -> Option<String> {
    let free = edge.for_tests && (edge.to == FREE_IN_TESTS || edge.to == edge.from);
    if free || permitted.contains(&edge.to.as_str()) {
        return None;
    }
    let whose = if edge.for_tests {
        "its tests use"
    } else {
        "uses"
    };
    Some(format!(
        "{whose} {}, but may use only {permitted:?}; pass what is needed through flumen-core, or change the table here and in ARCHITECTURE.md with the reason",
        edge.to
    ))
}

fn home_complaint(edge: &Edge) -> Option<String> {
    let (_, homes) = HOMES
        .iter()
        .find(|(names, _)| names.iter().any(|n| matches(n, &edge.to)))?;
    let at_home = homes.contains(&edge.from.as_str());
    (!at_home).then(|| {
        format!(
            "names {}, whose home is {homes:?}; go through that room",
            edge.to
        )
    })
}

fn ban_complaint(edge: &Edge) -> Option<String> {
    let (_, banned) = BANNED.iter().find(|(room, _)| *room == edge.from)?;
    let hit = !edge.for_tests && banned.iter().any(|name| matches(name, &edge.to));
    hit.then(|| format!("names {}, which is banned there; keep it pure", edge.to))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// What cargo says about the members of the workspace, from their manifests alone.
pub(crate) fn metadata() -> Value {
    ask_cargo(&["--no-deps"])
}

/// What `cargo metadata` answers, without network.
#[expect(
    clippy::unwrap_used,
    reason = "without cargo's answer the test must fail"
)]
pub(crate) fn ask_cargo(arguments: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(arguments)
        .current_dir(tree::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The packages of the metadata.
pub(crate) fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// A field that is a text; empty when it is missing.
pub(crate) fn text<'value>(value: &'value Value, field: &str) -> &'value str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn edges(metadata: &Value) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in packages(metadata) {
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.into_iter().flatten() {
            edges.push(Edge {
                from: text(package, "name").to_owned(),
                to: text(dependency, "name").to_owned(),
                for_tests: text(dependency, "kind") == "dev",
            });
        }
    }
    edges
}

#[test]
fn every_edge_between_rooms_is_permitted() {
    let edges = edges(&metadata());
    assert!(
        edges
            .iter()
            .any(|edge| edge.from == "flumen-config" && edge.to == "flumen-core")
    );
    assert_none(forbidden(&edges));
}

#[test]
fn every_room_is_in_the_table() {
    for package in packages(&metadata()) {
        let name = text(package, "name");
        assert!(
            ROOMS.iter().any(|(room, _)| *room == name),
            "{name} is not in the table of rooms"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(from: &str, to: &str, for_tests: bool) -> usize {
        forbidden(&[Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            for_tests,
        }])
        .len()
    }

    #[test]
    fn permitted_edges_pass_and_others_do_not() {
        assert_eq!(complaints("flumen-agent", "flumen-channel", false), 0);
        assert_eq!(complaints("flumen-builtin", "flumen-channel", false), 1);
        assert_eq!(complaints("flumen", "flumen-core", false), 1);
        assert_eq!(complaints("flumen-admin", "flumen-builtin", true), 1);
        assert_eq!(complaints("flumen-new", "flumen-core", false), 1);
    }

    #[test]
    fn tests_may_use_the_conformance_suites() {
        assert_eq!(complaints("flumen-wal", "flumen-core", true), 0);
        assert_eq!(complaints("flumen-wal", "flumen-core", false), 1);
        assert_eq!(complaints("flumen-wal", "flumen-wal", true), 0);
    }

    #[test]
    fn foreign_crates_have_their_homes_and_bans() {
        assert_eq!(complaints("flumen-wasm", "wasmtime-wasi", false), 0);
        assert_eq!(complaints("flumen-agent", "wasmtime", false), 1);
        assert_eq!(complaints("flumen-builtin", "hyper", true), 1);
        assert_eq!(complaints("flumen-core", "tokio", false), 1);
        assert_eq!(complaints("flumen-core", "tokio", true), 0);
        assert_eq!(complaints("flumen-channel", "tokio", false), 0);
        assert_eq!(complaints("flumen-config", "anyhow", false), 1);
    }

    #[test]
    fn the_metadata_of_cargo_is_understood() {
        let metadata = serde_json::json!({"packages": [{
            "name": "flumen-core",
            "dependencies": [
                {"name": "bytes", "kind": null},
                {"name": "proptest", "kind": "dev"},
            ],
        }]});
        let edge = |to: &str, for_tests| Edge {
            from: "flumen-core".to_owned(),
            to: to.to_owned(),
            for_tests,
        };
        assert_eq!(
            edges(&metadata),
            [edge("bytes", false), edge("proptest", true)]
        );
    }
}
