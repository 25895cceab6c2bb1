//! What a collector of OpenTelemetry is sent: decoded, as a collector would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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
            thread::spawn(move || take(&mut stream, &posts));
        }
    });
    (address, received)
}

/// Takes what comes on one connection.
fn take(stream: &mut BufReader<impl Read + Write>, posts: &Sender<Post>) {
    while let Some(post) = read(stream) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if stream.get_mut().write_all(answer).is_err() || posts.send(post).is_err() {
            return;
        }
    }
}

/// A collector at `localhost` that encrypts: its port, the certificate to trust, and what it gets.
fn collect_encrypted() -> (u16, String, Receiver<Post>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the protocols of today")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a sound identity");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (posts, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a sound configuration");
            let stream = StreamOwned::new(connection, stream.expect("a connection"));
            let posts = posts.clone();
            thread::spawn(move || take(&mut BufReader::new(stream), &posts));
        }
    });
    (port, certificate.pem(), received)
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

/// A server that takes one request: its address, and the head that it gets.
fn elsewhere() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(WAIT)).expect("a time to wait");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("a line") > 0, "{head}");
        }
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("it is sent");
        head
    });
    (address, asked)
}

#[test]
fn requests_of_functions_name_their_trace() {
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let named = format!("00-{trace}-{parent}-01");
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    for (traced, own) in [(true, None), (true, Some(other)), (false, None)] {
        let (address, asked) = elsewhere();
        let app = App::new(&format!(
            r#"
            [functions.caller]
            program = "$GUESTS/app/caller.wasm"
            grants = {{ http = ["{address}"], calls = ["lab"] }}
            [functions.lab]
            program = "$GUESTS/app/lab.wasm"
            [[routes]]
            path = "/"
            function = "caller"
            "#
        ));
        let (collector, _posts) = collect();
        let app = match traced {
            true => app.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{collector}")),
            false => app,
        };
        let served = app.serve();
        let ask = |url: &str| {
            let path = format!("/?{url}");
            let request = Request::new("GET", &path).header("traceparent", &named);
            let request = match own {
                Some(own) => request.header("x-traceparent", own),
                None => request,
            };
            served.ask(&request).well()
        };
        let told = |text: &str| {
            let lines = text.trim_start_matches("200 ").lines();
            let lines: Vec<_> = lines.filter_map(|line| line.strip_prefix("traceparent: ")).collect();
            assert!(lines.len() < 2, "{text}");
            lines.first().map(|line| (*line).to_owned())
        };
        let inside = told(&ask("http://lab.sampan.internal/headers"));
        assert_eq!(ask(&format!("http://{address}/")), "200 ");
        let outside = told(&asked.join().expect("it was asked"));
        if traced {
            // Inside, the node knows; outside, a function that traces by itself knows better.
            let inside = inside.expect("a sibling is told");
            assert!(inside.starts_with(&format!("00-{trace}-")) && inside != named, "{inside}");
            let outside = outside.expect("a server is told");
            let expected = own.map_or(format!("00-{trace}-"), str::to_owned);
            assert!(outside.starts_with(&expected) && outside != named && outside != inside, "{outside}");
        } else {
            assert_eq!((inside, outside), (None, None));
        }
        served.stop();
    }
}

#[test]
fn a_collector_is_sent_to_encrypted_where_it_is_trusted() {
    // The variable of OpenTelemetry goes before that of all connections.
    for variables in [&["SSL_CERT_FILE"][..], &["OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE"]] {
        let (port, certificate, posts) = collect_encrypted();
        let (_, another, _) = collect_encrypted();
        let mut trusting = app(&format!("https://localhost:{port}"));
        for (variable, certificate) in variables.iter().zip([&certificate, &another]) {
            trusting = trusting.file(&format!("{variable}.pem"), certificate);
            let path = trusting.path(&format!("{variable}.pem")).display().to_string();
            trusting = trusting.env(variable, &path);
        }
        let served = trusting.serve();
        served.text("/say?ahoy");
        served.stop();
        let (path, head, _) = posts.recv_timeout(WAIT).expect("it is sent");
        assert!(path.starts_with("/v1/") && head.contains("x-key: opens-the-collector"), "{path}\n{head}");
    }

    // One that nobody vouches for gets nothing, and no key.
    let (port, _, posts) = collect_encrypted();
    let served = app(&format!("https://localhost:{port}")).serve();
    served.text("/say?ahoy");
    served.stop();
    assert!(posts.try_recv().is_err());
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
    for endpoint in ["grpc://127.0.0.1:4318", "127.0.0.1", "http://", "ftp://a"] {
        let (code, said) = app(endpoint).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(endpoint) && said.contains("hint:"), "{said}");
    }
}

/// An app whose function tells of itself.
fn logbook() -> App {
    App::new(
        r#"
        [functions.logbook]
        program = "$GUESTS/app/logbook.wasm"
        limits = { deadline = "60s" }
        [[routes]]
        path = "/{*rest}"
        function = "logbook"
        "#,
    )
}

#[test]
fn what_a_function_logs_and_measures_is_sent_in_its_name() {
    let (address, posts) = collect();
    let served = logbook().env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}")).serve();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let named = format!("00-{trace}-00f067aa0ba902b7-01");
    let told = served.ask(&Request::new("GET", "/tell?fog").header("traceparent", &named)).well();
    assert_eq!(told, "told");
    let said = served.stop();
    assert!(said.contains("logbook | fog\n"), "{said}");

    let (mut records, mut scopes, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    while spans.is_empty() || records.is_empty() || scopes.is_empty() {
        let (path, _, body) = posts.recv_timeout(WAIT).expect("all is sent");
        match path.as_str() {
            "/v1/traces" => {
                let sent = ExportTraceServiceRequest::decode(&*body).expect("spans");
                let all = sent.resource_spans.into_iter().flat_map(|sent| sent.scope_spans);
                spans.extend(all.flat_map(|sent| sent.spans).filter(|span| span.name == "noted"));
            }
            "/v1/logs" => {
                let sent = ExportLogsServiceRequest::decode(&*body).expect("lines");
                let all = sent.resource_logs.into_iter().flat_map(|sent| sent.scope_logs);
                records.extend(all.flat_map(|sent| sent.log_records));
            }
            _ => {
                let sent = ExportMetricsServiceRequest::decode(&*body).expect("metrics");
                assert!(!format!("{:?}", sent.resource_metrics[0].resource).contains("another"));
                let all = sent.resource_metrics.into_iter().flat_map(|sent| sent.scope_metrics);
                scopes.extend(
                    all.filter(|sent| sent.scope.as_ref().is_some_and(|scope| scope.name == "logbook")),
                );
            }
        }
    }
    let record = &records[0];
    assert_eq!((record.severity_text.as_str(), record.event_name.as_str()), ("warn", "note"));
    assert_eq!(record.time_unix_nano, 1_000_000_000);
    assert_eq!((&record.trace_id, &record.span_id), (&spans[0].trace_id, &spans[0].span_id));
    assert_eq!(spans[0].trace_id, u128::from_str_radix(trace, 16).expect("a trace").to_be_bytes());
    assert_eq!(string(record.body.as_ref()), Some("fog"));
    let names: Vec<&str> = record.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(names, ["sampan.function", "knots"]);
    assert_eq!(string(record.attributes[0].value.as_ref()), Some("logbook"));

    let [sum, spread, exponential] = &scopes[0].metrics[..] else { panic!("{scopes:?}") };
    assert_eq!((sum.name.as_str(), sum.unit.as_str()), ("logbook.depth", "m"));
    let Some(Data::Sum(sum)) = &sum.data else { panic!("{sum:?}") };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true), "delta");
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(41)));
    assert_eq!(string(sum.data_points[0].attributes[0].value.as_ref()), Some("port"));
    let Some(Data::Histogram(spread)) = &spread.data else { panic!("{spread:?}") };
    let point = &spread.data_points[0];
    assert_eq!((spread.aggregation_temporality, point.count), (2, 3), "cumulative");
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[1.0, 2.0][..], &[1, 0, 2][..]));
    assert_eq!((point.min, point.max, point.sum), (Some(-1.0), None, Some(12.0)));
    let Some(Data::ExponentialHistogram(spread)) = &exponential.data else { panic!("{exponential:?}") };
    let point = &spread.data_points[0];
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-2, 1, 0.25));
    assert_eq!((positive.offset, &positive.bucket_counts[..]), (-3, &[2, 3][..]));
}

fn string(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn too_much_at_once_is_refused_and_without_a_collector_it_goes_nowhere() {
    let (address, _posts) = collect();
    let served = logbook().env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}")).serve();
    assert_eq!(served.text("/measure?100"), "told");
    let refused = served.get("/measure?100000");
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("export less at once"), "{}", refused.text());

    let served = logbook().serve();
    assert_eq!(served.text("/measure?100000"), "told");
    assert_eq!(served.text("/tell?fog"), "told");
    assert!(served.stop().contains("logbook | fog\n"));
}

#[test]
fn a_function_that_floods_the_collector_leaves_the_node_its_memory() {
    // It takes connections, and never answers: all that is told waits until it is dropped.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let served = logbook().env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).serve();
    assert_eq!(served.text("/tell?fog"), "told");
    let before = served.resident_bytes();
    assert_eq!(served.text("/flood?3000"), "told");
    let grown = served.resident_bytes().saturating_sub(before);
    // Of 6 GB, 8 KiB of each line, 4 KiB of each span, and 1,024 exports of 50 KiB may wait.
    assert!(grown < 256 << 20, "it grew by {} MiB", grown >> 20);
    assert_eq!(served.text("/tell?fog"), "told");
}
