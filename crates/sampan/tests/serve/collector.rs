//! What a collector of OpenTelemetry is sent: decoded, as a collector would.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::WAIT;
use crate::app::App;
use crate::client::Request;

/// What one POST brought: its path, its head, and its body.
type Post = (String, String, Vec<u8>);

/// A collector that takes everything and shows it.
fn collect() -> (SocketAddr, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (posts, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let posts = posts.clone();
            thread::spawn(move || {
                while let Some(post) = read(&mut stream) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.get_mut().write_all(answer).is_err() || posts.send(post).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, received)
}

fn read(stream: &mut impl BufRead) -> Option<Post> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    Some((path, head, body))
}

fn app(endpoint: &str) -> App {
    App::new(
        r#"
        [functions.lab]
        program = "$GUESTS/app/lab.wasm"
        [functions.step]
        program = "$GUESTS/app/step.wasm"
        [chains.pair]
        steps = [{ name = "first", call = "step" }, { name = "second", call = "step" }]
        [[routes]]
        path = "/pair"
        chain = "pair"
        [[routes]]
        path = "/{*rest}"
        function = "lab"
        "#,
    )
    .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=opens-the-collector")
    .env("OTEL_SERVICE_NAME", "harbour")
}

#[test]
fn requests_and_calls_are_traced_and_lines_and_counts_are_sent() {
    let (address, posts) = collect();
    let served = app(&format!("http://{address}/base")).serve();
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let named = format!("00-{trace}-{parent}-01");
    let request = Request::new("POST", "/pair").header("content-type", "application/json").body(b"{}");
    served.ask(&request.header("traceparent", &named)).well();
    let told = served.ask(&Request::new("GET", "/headers").header("traceparent", &named)).well();
    served.text("/say?ahoy");
    let said = served.stop();
    assert!(!said.contains("opens-the-collector"), "{said}");

    let (mut spans, mut lines, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
    // The last of all are the metrics at the end.
    while let Ok((path, head, body)) = posts.recv_timeout(WAIT) {
        assert!(
            head.contains("x-key: opens-the-collector") && head.contains("application/x-protobuf"),
            "{head}"
        );
        match path.as_str() {
            "/base/v1/traces" => {
                let sent = ExportTraceServiceRequest::decode(&*body).expect("spans");
                assert!(format!("{:?}", sent.resource_spans[0].resource).contains("harbour"));
                spans.extend(
                    sent.resource_spans
                        .into_iter()
                        .flat_map(|sent| sent.scope_spans)
                        .flat_map(|sent| sent.spans),
                );
            }
            "/base/v1/logs" => lines.push(ExportLogsServiceRequest::decode(&*body).expect("lines")),
            "/base/v1/metrics" => {
                metrics.push(ExportMetricsServiceRequest::decode(&*body).expect("metrics"));
                if !lines.is_empty() && spans.len() >= 5 {
                    break;
                }
            }
            path => panic!("{path}"),
        }
    }
    let id = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let find = |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let (pair, steps) = (find("POST /pair")[0], find("step"));
    assert_eq!((id(&pair.trace_id).as_str(), id(&pair.parent_span_id).as_str()), (trace, parent));
    assert_eq!((pair.kind, steps.len()), (2, 2), "a server's span, and one for each step");
    for step in steps {
        assert_eq!((id(&step.trace_id).as_str(), &step.parent_span_id), (trace, &pair.span_id));
        assert!(pair.start_time_unix_nano <= step.start_time_unix_nano);
        assert!(step.end_time_unix_nano <= pair.end_time_unix_nano);
    }
    let lab = find("GET /{*rest}");
    assert_eq!(lab.len(), 2);
    let passed_on =
        lab.iter().any(|span| told.contains(&format!("traceparent: 00-{trace}-{}-01", id(&span.span_id))));
    assert!(passed_on, "the function was told another span:\n{told}");
    assert!(format!("{lines:?}").contains("said ahoy"), "{lines:?}");
    let metrics = format!("{:?}", metrics.last().expect("some"));
    assert!(metrics.contains("sampan.calls") && metrics.contains("sampan.call.duration"), "{metrics}");
}

#[test]
fn a_collector_that_is_not_there_delays_nothing() {
    // Bound and closed again: nobody listens.
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let served = app(&format!("http://{address}")).serve();
    assert!(served.text("/say?ahoy").is_empty());
    served.stop();
}

#[test]
fn an_endpoint_that_cannot_be_meant_is_refused() {
    for endpoint in ["https://127.0.0.1:4318", "127.0.0.1", "http://", "ftp://a"] {
        let (code, said) = app(endpoint).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(endpoint) && said.contains("hint:"), "{said}");
    }
}
