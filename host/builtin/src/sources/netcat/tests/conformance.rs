//! The contract of a source, with answers and without.

use std::ops::Range;
use std::time::Duration;

use flumen_core::BoxFuture;
use flumen_core::conformance::settings::settings;
use flumen_core::conformance::source::{DrivenCase, run_driven};
use flumen_core::source::{Source, SourceInstance};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::super::{ROW, build};

const DEADLINE: Duration = Duration::from_secs(60);

struct Client {
    port: u16,
    ack: bool,
}

impl Client {
    /// All instances listen on one port, which was free a moment ago.
    fn new(ack: bool) -> Self {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = probe.local_addr().expect("its address").port();
        Self { port, ack }
    }

    async fn feed_acked(&self, stream: TcpStream, numbers: Range<u64>) {
        let mut stream = BufReader::new(stream);
        for number in numbers {
            let line = format!("{number}\n");
            let mut answer = String::new();
            while answer != "OK\n" {
                answer.clear();
                stream.write_all(line.as_bytes()).await.expect("written");
                stream.read_line(&mut answer).await.expect("answered");
                assert!(!answer.is_empty(), "a source answers before it closes");
            }
        }
    }
}

impl DrivenCase for Client {
    fn make(&self) -> Box<dyn Source> {
        let port = self.port.to_string();
        let ack = self.ack.to_string();
        let set = [
            ("bind", "127.0.0.1"),
            ("port", port.as_str()),
            ("ack-every-event", ack.as_str()),
        ];
        match build(&settings(&ROW, &set)).expect("settings are good") {
            SourceInstance::EventDriven(source) => source,
            SourceInstance::Polled { .. } => panic!("netcat runs by itself"),
        }
    }

    fn feed(&self, address: Option<String>, numbers: Range<u64>) -> BoxFuture<'_, ()> {
        let address = address.expect("netcat has an address");
        Box::pin(async move {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            if self.ack {
                return self.feed_acked(stream, numbers).await;
            }
            let text: String = numbers.map(|number| format!("{number}\n")).collect();
            stream.write_all(text.as_bytes()).await.expect("written");
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_with_answers() {
    let client = Client::new(true);
    let suite = run_driven(&client);
    tokio::time::timeout(DEADLINE, suite).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_without_answers() {
    let client = Client::new(false);
    let suite = run_driven(&client);
    tokio::time::timeout(DEADLINE, suite).await.expect("ends");
}
