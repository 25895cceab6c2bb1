//! What a node tells a collector of OpenTelemetry, over OTLP/HTTP: spans, lines of log, its own metrics and those of
//! its functions.
//!
//! Nothing waits for the collector: what it does not take in time is dropped, and counted.

mod measured;
mod otlp;
mod send;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use host::Authorities;
use host::bindings::{Call, CallError, Metric, Span, Status, TRACEPARENT, traceparent};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::Line;
use crate::app::random_id;
use crate::current::Current;
use crate::function::Function;
use crate::limits::{
    EXPORT_BATCH_MAX, EXPORT_EVERY, GRACE, METRICS_EVERY, METRICS_WAITING_MAX, SPANS_WAITING_MAX,
};
use measured::Measured;
use otlp::Service;
use send::Sender;

/// Where telemetry goes, as the standard variables say.
#[derive(Clone)]
pub struct Collector {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://HOST:PORT` or `https://HOST`, with a path or without.
    pub endpoint: http::Uri,
    /// Whom to trust where it is `https`.
    pub authorities: Authorities,
    /// `OTEL_SERVICE_NAME`; without it, the name of the app.
    pub service: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: sent along, and secret.
    pub headers: HeaderMap,
}

/// The way of spans, and of what functions measure, to the collector.
pub struct Telemetry {
    spans: mpsc::Sender<Span>,
    measured: mpsc::Sender<Measured>,
    dropped: AtomicU64,
}

/// Sends what was gathered.
pub struct Exporter {
    telemetry: Arc<Telemetry>,
    spans: mpsc::Receiver<Span>,
    measured: mpsc::Receiver<Measured>,
    collector: Collector,
}

impl Telemetry {
    /// The way to `collector`, and what sends along it.
    pub fn new(collector: Collector) -> (Arc<Self>, Exporter) {
        let (to_spans, spans) = mpsc::channel(SPANS_WAITING_MAX);
        let (to_measured, measured) = mpsc::channel(METRICS_WAITING_MAX);
        let telemetry = Arc::new(Self { spans: to_spans, measured: to_measured, dropped: AtomicU64::new(0) });
        (Arc::clone(&telemetry), Exporter { telemetry, spans, measured, collector })
    }

    /// Spans, lines and metrics that the collector did not get.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_some(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Begins the span of a request from outside, within the trace that the request names (W3C Trace Context), and has
    /// the request name this span to the function.
    pub(crate) fn request(self: &Arc<Self>, parts: &mut Parts, route: &str) -> Traced {
        let (trace_id, parent) = parent(&parts.headers).unwrap_or_else(|| (random_id(), 0));
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let attributes = [
            ("http.request.method", text(parts.method.as_str())),
            ("http.route", text(route)),
            ("url.path", text(parts.uri.path())),
        ];
        let name = format!("{} {route}", parts.method);
        let traced = Traced::begin(Arc::clone(self) as _, trace_id, parent, name, &attributes);
        traced.tell(&mut parts.headers);
        traced
    }
}

impl host::bindings::Telemetry for Telemetry {
    fn span(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.drop_some(1);
        }
    }

    fn metrics(&self, function: &str, metrics: Vec<Metric>) {
        let count = metrics.len();
        if self.measured.try_send(Measured { function: function.to_owned(), metrics }).is_err() {
            self.drop_some(count);
        }
    }
}

/// A span that has begun. It is told when this is dropped.
pub(crate) struct Traced {
    telemetry: Arc<dyn host::bindings::Telemetry>,
    span: Span,
}

/// Begins the span of a call from one function to another; `None` where nothing is traced.
pub(crate) fn call(function: &Function, call: Call) -> (Call, Option<Traced>) {
    let bindings = function.settings.grants.bindings.as_ref();
    let Some(telemetry) = bindings.and_then(|bindings| bindings.telemetry.clone()) else {
        return (call, None);
    };
    let attributes = [("sampan.function", serde_json::Value::from(function.name()).to_string())];
    let traced = Traced::begin(telemetry, call.chain, call.span, function.name().to_owned(), &attributes);
    (Call { span: traced.span.span_id, ..call }, Some(traced))
}

/// Says how the call of a span went.
pub(crate) fn ended<T>(traced: Option<Traced>, result: &Result<T, CallError>) {
    if let (Some(mut traced), Err(error)) = (traced, result) {
        traced.span.status = Status::Error(error.to_string());
    }
}

impl Traced {
    fn begin(
        telemetry: Arc<dyn host::bindings::Telemetry>,
        trace_id: u128,
        parent: u64,
        name: String,
        attributes: &[(&str, String)],
    ) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        // The lower half of a random number is one; 0 means none.
        let span_id = (random_id() as u64).max(1);
        let (start_ns, end_ns, status) = (now_ns(), 0, Status::Unset);
        Self {
            telemetry,
            span: Span { trace_id, span_id, parent, name, start_ns, end_ns, attributes, status },
        }
    }

    /// Its trace, and itself.
    pub(crate) fn place(&self) -> (u128, u64) {
        (self.span.trace_id, self.span.span_id)
    }

    /// Names itself to whoever gets a request.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, traceparent(self.span.trace_id, self.span.span_id));
    }

    /// What the request was answered.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.span.attributes.push(("http.response.status_code".to_owned(), status.as_u16().to_string()));
        if status.is_server_error() {
            self.span.status = Status::Error(status.to_string());
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.span.end_ns = now_ns();
        self.telemetry.span(self.span.clone());
    }
}

/// The trace and span that a request is a part of (W3C Trace Context, section 3.2).
fn parent(headers: &HeaderMap) -> Option<(u128, u64)> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let text = values.next()?.to_str().ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if values.next().is_some() || parts.len() < 4 || !parts.iter().all(|part| hexadecimal(part)) {
        return None;
    }
    let lengths = [parts[0].len(), parts[1].len(), parts[2].len(), parts[3].len()];
    if lengths != [2, 32, 16, 2] || parts[0] == "ff" || (parts[0] == "00" && parts.len() > 4) {
        return None;
    }
    let (trace, span) = (u128::from_str_radix(parts[1], 16).ok()?, u64::from_str_radix(parts[2], 16).ok()?);
    (trace != 0 && span != 0).then_some((trace, span))
}

/// An [`Exporter`] at work.
pub struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends what is left.
    pub async fn finish(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(GRACE, self.task).await;
    }
}

impl Exporter {
    /// Sends what comes of `current`, on a task of its own.
    pub fn begin(self, current: Arc<Current>) -> Exporting {
        let (stop, stopped) = oneshot::channel();
        let lines = current.app().logs().follow();
        Exporting { stop, task: tokio::spawn(self.run(current, lines, stopped)) }
    }

    /// Sends what comes, in batches, until `stop` comes or is dropped; then what is left.
    async fn run(
        mut self,
        current: Arc<Current>,
        mut lines: broadcast::Receiver<Line>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let app = current.app();
        let name = self.collector.service.clone().unwrap_or_else(|| app.name().to_owned());
        let service = Service { name, version: app.version().to_owned() };
        drop(app);
        let mut sender = Sender::new(&self.collector);
        let mut spans_due = tokio::time::interval(EXPORT_EVERY);
        let mut metrics_due = tokio::time::interval(METRICS_EVERY);
        spans_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        metrics_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun_ns = now_ns();
        loop {
            let (is_over, with_metrics) = tokio::select! {
                _ = &mut stop => (true, true),
                _ = spans_due.tick() => (false, false),
                _ = metrics_due.tick() => (false, true),
            };
            self.send_spans(&mut sender, &service).await;
            self.send_lines(&mut sender, &service, &mut lines).await;
            self.send_measured(&mut sender, &service).await;
            if with_metrics {
                let metrics =
                    otlp::metrics(&service, &current.app(), begun_ns, now_ns(), self.telemetry.dropped());
                sender.send("/v1/metrics", &metrics).await;
            }
            if is_over {
                return;
            }
        }
    }

    async fn send_spans(&mut self, sender: &mut Sender, service: &Service) {
        loop {
            let mut spans = Vec::new();
            while spans.len() < EXPORT_BATCH_MAX
                && let Ok(span) = self.spans.try_recv()
            {
                spans.push(span);
            }
            let count = spans.len();
            if count > 0 && !sender.send("/v1/traces", &otlp::spans(service, spans)).await {
                self.telemetry.drop_some(count);
            }
            if count < EXPORT_BATCH_MAX {
                return;
            }
        }
    }

    async fn send_measured(&mut self, sender: &mut Sender, service: &Service) {
        loop {
            let mut all = Vec::new();
            while all.len() < EXPORT_BATCH_MAX
                && let Ok(measured) = self.measured.try_recv()
            {
                all.push(measured);
            }
            let (exports, metrics) = (all.len(), all.iter().map(|export| export.metrics.len()).sum());
            if exports > 0 && !sender.send("/v1/metrics", &measured::message(service, all)).await {
                self.telemetry.drop_some(metrics);
            }
            if exports < EXPORT_BATCH_MAX {
                return;
            }
        }
    }

    async fn send_lines(&self, sender: &mut Sender, service: &Service, from: &mut broadcast::Receiver<Line>) {
        loop {
            let mut lines = Vec::new();
            while lines.len() < EXPORT_BATCH_MAX {
                match from.try_recv() {
                    Ok(line) => lines.push(line),
                    Err(broadcast::error::TryRecvError::Lagged(missed)) => {
                        self.telemetry.drop_some(usize::try_from(missed).unwrap_or(usize::MAX));
                    }
                    Err(_) => break,
                }
            }
            let count = lines.len();
            if count > 0 && !sender.send("/v1/logs", &otlp::lines(service, lines)).await {
                self.telemetry.drop_some(count);
            }
            if count < EXPORT_BATCH_MAX {
                return;
            }
        }
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Collector, Telemetry, parent};
    use crate::limits::METRICS_WAITING_MAX;
    use host::Authorities;
    use host::bindings::{Data, Metric, TRACEPARENT, Telemetry as _, traceparent};
    use http::{HeaderMap, HeaderValue, Uri};

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let endpoint = Uri::from_static("http://127.0.0.1:4318");
        let (telemetry, _exporter) = Telemetry::new(Collector {
            endpoint,
            authorities: Authorities::default(),
            service: None,
            headers: HeaderMap::new(),
        });
        let text = String::new;
        let data = Data::Gauge(Vec::new());
        let metric = Metric { name: text(), description: text(), unit: text(), start_ns: 0, end_ns: 0, data };
        for _ in 0..METRICS_WAITING_MAX + 3 {
            telemetry.metrics("pier", vec![metric.clone(); 2]);
        }
        assert_eq!(telemetry.dropped(), 6);
    }

    #[test]
    fn a_request_names_its_trace_or_none() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, traceparent(7, 9));
        assert_eq!(parent(&headers), Some((7, 9)));
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (text, is_sound) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("cc-{trace}-{span}-01-more"), false),
            (format!("cc-{trace}-{span}-01-00"), true),
            (format!("00-{trace}-{span}-01-00"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{trace}-{span}"), false),
            (String::new(), false),
        ] {
            headers.insert(TRACEPARENT, HeaderValue::try_from(&text).expect("sound"));
            assert_eq!(parent(&headers).is_some(), is_sound, "{text}");
        }
    }
}
