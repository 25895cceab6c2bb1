//! Where telemetry goes, from the standard variables of OpenTelemetry.

use host::Authorities;
use node::{Collector, HeaderMap, HeaderName, HeaderValue};

use crate::authorities;
use crate::report::Report;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// The collector that the environment names; `None` where it names none.
///
/// # Errors
/// When what it says cannot be meant.
pub(crate) fn from_environment() -> Result<Option<Collector>, Report> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(endpoint) = variable(ENDPOINT) else {
        return Ok(None);
    };
    let hint = "an OTLP/HTTP collector, such as `http://127.0.0.1:4318` or `https://otlp.example.com`";
    let wrong = || Report::usage(format!("cannot send telemetry to `{endpoint}`")).hint(hint);
    let uri: node::Uri = endpoint.parse().map_err(|_| wrong())?;
    let authorities = match uri.scheme_str() {
        Some("http") => Authorities::default(),
        Some("https") => match authorities::named_by(CERTIFICATE)? {
            Some(of_collector) => of_collector,
            None => authorities::trusted()?,
        },
        _ => return Err(wrong()),
    };
    if uri.host().is_none() {
        return Err(wrong());
    }
    let headers = headers(&variable(HEADERS).unwrap_or_default())?;
    Ok(Some(Collector { endpoint: uri, authorities, service: variable(SERVICE), headers }))
}

/// `name=value,name=value`. An error does not say the value: it may be secret.
fn headers(text: &str) -> Result<HeaderMap, Report> {
    let mut headers = HeaderMap::new();
    for (place, pair) in text.split(',').filter(|pair| !pair.trim().is_empty()).enumerate() {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        let Some((name, value)) = header else {
            return Err(Report::usage(format!("field {} of `{HEADERS}` is not `name=value`", place + 1)));
        };
        headers.insert(name, value);
    }
    Ok(headers)
}
