//! `host`: sets a header to the address or the name of the machine that the agent runs on.
//!
//! The machine's own name is resolved once, by a thread of its own when the interceptor is made, so
//! that a slow name server holds up neither a start nor a reload. Batches wait for the answer
//! until `RESOLVE_WAIT_MAX` after that; from then on, and when the name cannot be resolved, they
//! pass unchanged, as in Flume. Once there is an answer it is a constant column: nothing per event.
//!
//! * `useIP = true`: the first IPv4 address of the name, or else its first address.
//! * `useIP = false`: the canonical name, that is, the first name that `/etc/hosts` has for the
//!   address of the machine's name, or else the name itself. Flume also asks the name server for the
//!   name of the address; flumen does not.

use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use flumen_core::batch::{Existing, HeaderName};
use flumen_core::clock::Clock;
use flumen_core::future::ready;
use flumen_core::interceptor::{Intercepted, Interceptor};
use flumen_core::option::DefaultValue::Is;
use flumen_core::option::{ComponentKind, ComponentRow, OptionRow, Support, ValueKind};
use flumen_core::settings::Settings;
use flumen_core::{BoxFuture, EventBatch, Fault};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::header::{existing, header_name, set_constant};

/// How long after its making the interceptor holds batches back for the answer. A name in
/// `/etc/hosts` takes less than a millisecond; a name server that does not answer within two
/// seconds is treated as absent rather than stopping the flow.
const RESOLVE_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where the machine keeps names of its own.
const HOSTS_FILE: &str = "/etc/hosts";

/// The options of `host`.
pub static ROW: ComponentRow = ComponentRow {
    kind: ComponentKind::Interceptor,
    name: "host",
    aliases: &["org.apache.flume.interceptor.HostInterceptor$Builder"],
    doc: "Sets a header to the address or the name of the machine that the agent runs on.",
    support: Support::Built,
    options: &[
        OptionRow::new(
            "hostHeader",
            ValueKind::Text,
            Is("host"),
            "The header that is set.",
        ),
        OptionRow::new(
            "useIP",
            ValueKind::Boolean,
            Is("true"),
            "Whether the value is the address; otherwise it is the name.",
        ),
        OptionRow::new(
            "preserveExisting",
            ValueKind::Boolean,
            Is("false"),
            "Whether an event that has the header keeps its value.",
        ),
    ],
};

/// Makes a `host` interceptor.
pub(super) fn build(
    settings: &Settings,
    _clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Interceptor>, Fault> {
    let header = header_name(settings, "hostHeader")?;
    let existing = existing(settings)?;
    let resolve = if settings.boolean("useIP")? {
        own_address
    } else {
        own_canonical_name
    };
    Ok(Box::new(Host {
        header,
        existing,
        value: resolve_apart(resolve),
        wait_until: Instant::now() + RESOLVE_WAIT_MAX,
    }))
}

/// What the machine calls itself, as far as it is known.
#[derive(Clone, Debug)]
enum Own {
    Resolving,
    Known(Arc<str>),
    Unknown,
}

struct Host {
    header: HeaderName,
    existing: Existing,
    value: watch::Receiver<Own>,
    wait_until: Instant,
}

impl Host {
    fn apply(&self, batch: EventBatch, own: &Own) -> Result<Intercepted, Fault> {
        let events = match own {
            Own::Known(value) => set_constant(&batch, &self.header, value, self.existing)?,
            Own::Resolving | Own::Unknown => batch,
        };
        Ok(events.into())
    }
}

impl Interceptor for Host {
    fn intercept(&self, batch: EventBatch) -> BoxFuture<'_, Result<Intercepted, Fault>> {
        let own = self.value.borrow().clone();
        if !matches!(own, Own::Resolving) {
            return ready(self.apply(batch, &own));
        }
        Box::pin(async move {
            let mut value = self.value.clone();
            let answer = value.wait_for(|own| !matches!(own, Own::Resolving));
            let own = match timeout_at(self.wait_until, answer).await {
                Ok(Ok(own)) => own.clone(),
                Ok(Err(_)) | Err(_) => Own::Unknown,
            };
            self.apply(batch, &own)
        })
    }
}

/// Resolves on a thread that ends with the answer. A look-up cannot be cancelled: the thread
/// outlives the interceptor by at most the time-outs of the system's resolver.
fn resolve_apart(resolve: fn(&str) -> Result<String, String>) -> watch::Receiver<Own> {
    let (sender, receiver) = watch::channel(Own::Resolving);
    let answer = move || {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy();
        let own = match resolve(&host) {
            Ok(value) => Own::Known(value.into()),
            Err(reason) => {
                tracing::warn!(
                    host = &*host,
                    reason,
                    "cannot resolve the name of this machine, so the host interceptor leaves events unchanged; add the name to {HOSTS_FILE}"
                );
                Own::Unknown
            }
        };
        // Nobody waits any more when the interceptor is gone.
        let _ = sender.send(own);
    };
    let thread = std::thread::Builder::new().name("flumen-own-host".to_owned());
    if let Err(error) = thread.spawn(answer) {
        // The sender is gone with the closure, so waiting batches pass unchanged at once.
        tracing::warn!(%error, "cannot start a thread to resolve the name of this machine");
    }
    receiver
}

fn own_address(host: &str) -> Result<String, String> {
    let addresses = (host, 0).to_socket_addrs();
    let addresses = addresses.map_err(|error| error.to_string())?;
    let addresses: Vec<IpAddr> = addresses.map(|address: SocketAddr| address.ip()).collect();
    preferred(&addresses)
        .map(|address| address.to_string())
        .ok_or_else(|| "the name has no address".to_owned())
}

/// The first IPv4 address, or else the first, as Java prefers them.
fn preferred(addresses: &[IpAddr]) -> Option<IpAddr> {
    let version_4 = addresses.iter().find(|address| address.is_ipv4());
    version_4.or(addresses.first()).copied()
}

fn own_canonical_name(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("the machine has no name".to_owned());
    }
    let hosts = fs::read_to_string(HOSTS_FILE).unwrap_or_default();
    Ok(canonical_name(&hosts, host).unwrap_or(host).to_owned())
}

/// The name that a hosts file has for the host's address: the first name of the first line with
/// that address, as the system's look-up of an address reads the file.
fn canonical_name<'a>(hosts: &'a str, host: &str) -> Option<&'a str> {
    let lines = || hosts.lines().filter_map(hosts_line);
    let addresses: Vec<IpAddr> = lines()
        .filter(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(host)))
        .map(|(address, _)| address)
        .collect();
    let own = preferred(&addresses)?;
    let (_, names) = lines().find(|(address, _)| *address == own)?;
    names.first().copied()
}

/// An address and its names.
fn hosts_line(line: &str) -> Option<(IpAddr, Vec<&str>)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let address = words.next()?.parse().ok()?;
    Some((address, words.collect()))
}

#[cfg(test)]
mod tests {
    use flumen_core::clock::SystemClock;
    use flumen_core::conformance::interceptor::conforms;

    use super::super::header::tests::{half_marked, values_of};
    use super::*;
    use flumen_core::conformance::settings::settings as checked;

    fn host(existing: Existing) -> (watch::Sender<Own>, Host) {
        let (sender, value) = watch::channel(Own::Resolving);
        let header = HeaderName::new("host").expect("a name");
        let wait_until = Instant::now() + RESOLVE_WAIT_MAX;
        let host = Host {
            header,
            existing,
            value,
            wait_until,
        };
        (sender, host)
    }

    #[tokio::test]
    async fn host_keeps_the_contract() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        for use_ip in ["true", "false"] {
            let set = [("useIP", use_ip), ("hostHeader", "from")];
            let interceptor = build(&checked(&ROW, &set), &clock).expect("builds");
            conforms(&*interceptor, &[half_marked("from")]).await;
        }
    }

    #[tokio::test]
    async fn the_name_of_this_machine_is_found() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let set = [("useIP", "false")];
        let interceptor = build(&checked(&ROW, &set), &clock).expect("builds");
        let batch = interceptor
            .intercept(half_marked("host"))
            .await
            .expect("sets")
            .events;
        let values = values_of(&batch, "host");
        assert!(
            values
                .iter()
                .all(|value| value.as_ref().is_some_and(|value| !value.is_empty()))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_the_answer_and_then_has_it() {
        let (sender, host) = host(Existing::Keep);
        let mut waiting = host.intercept(half_marked("host"));
        let early = std::future::poll_fn(|context| {
            std::task::Poll::Ready(waiting.as_mut().poll(context).is_ready())
        });
        assert!(!early.await, "no answer yet");
        sender
            .send(Own::Known("10.0.0.1".into()))
            .expect("is heard");
        let batch = waiting.await.expect("sets").events;
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(values_of(&batch, "host"), [text("kept"), text("10.0.0.1")]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_leaves_events_unchanged() {
        let (sender, host) = host(Existing::Replace);
        let started = Instant::now();
        let batch = half_marked("host");
        assert_eq!(
            host.intercept(batch.clone()).await.expect("passes").events,
            batch
        );
        assert_eq!(started.elapsed(), RESOLVE_WAIT_MAX);
        assert_eq!(
            host.intercept(batch.clone()).await.expect("passes").events,
            batch
        );
        assert_eq!(
            started.elapsed(),
            RESOLVE_WAIT_MAX,
            "only the first batches wait"
        );
        sender.send(Own::Unknown).expect("is heard");
        assert_eq!(
            host.intercept(batch.clone()).await.expect("passes").events,
            batch
        );
    }

    #[test]
    fn an_address_of_version_4_comes_first() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (version_6, version_4) = (parse("fe80::1"), parse("10.0.0.1"));
        assert_eq!(preferred(&[version_6, version_4]), Some(version_4));
        assert_eq!(preferred(&[version_6]), Some(version_6));
        assert_eq!(preferred(&[]), None);
    }

    #[test]
    fn the_hosts_file_knows_the_canonical_name() {
        let hosts = "# 10.0.0.9 web1\n127.0.0.1 localhost\n10.0.0.1\tweb1.example.org  web1 # us\n10.0.0.2 db\n";
        assert_eq!(canonical_name(hosts, "web1"), Some("web1.example.org"));
        assert_eq!(canonical_name(hosts, "WEB1"), Some("web1.example.org"));
        assert_eq!(canonical_name(hosts, "db"), Some("db"));
        assert_eq!(canonical_name(hosts, "us"), None);
        assert_eq!(canonical_name("", "web1"), None);
        let shared = "::1 six vm\nnonsense vm\n127.0.0.1 localhost\n127.0.0.1 vm\n";
        assert_eq!(canonical_name(shared, "vm"), Some("localhost"));
    }
}
