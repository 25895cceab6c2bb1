//! Commands as functions: any program with standard input and output answers requests by the Common Gateway
//! Interface (RFC 3875), and calls of chains in the same way.

use bytes::Bytes;
use host::bindings::{Call, Payload};
use host::{Host, Stdio};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::function::Function;
use crate::guest::{Guest, watched};
use crate::instance::Failure;
use crate::limits::CGI_OUTPUT_BYTES_MAX;
use crate::respond::payload;

/// What a command wrote: header fields, an empty line, and a body.
struct Written {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Function {
    /// Answers a request with what the command writes.
    pub(crate) async fn answer_command(
        &self,
        command: &host::Command,
        call: Call,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let (parts, body) = request.into_parts();
        let input = body.collect().await.map_err(Failure::Refused)?.to_bytes();
        let mut variables = vec![
            ("REQUEST_METHOD".to_owned(), parts.method.to_string()),
            ("SERVER_PROTOCOL".to_owned(), format!("{:?}", parts.version)),
            ("SCRIPT_NAME".to_owned(), String::new()),
            ("PATH_INFO".to_owned(), parts.uri.path().to_owned()),
            ("QUERY_STRING".to_owned(), parts.uri.query().unwrap_or_default().to_owned()),
            ("CONTENT_LENGTH".to_owned(), input.len().to_string()),
        ];
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Some(host) = parts.headers.get(HOST) {
            variables.push(("SERVER_NAME".to_owned(), text(host)));
        }
        for (name, value) in &parts.headers {
            let name = match *name == CONTENT_TYPE {
                true => "CONTENT_TYPE".to_owned(),
                // `Proxy:` would look like a setting of the program's own HTTP client, and `Sampan_Route:` like what
                // only the node says.
                false if name == "proxy" || name.as_str().contains('_') => continue,
                false => format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_")),
            };
            variables.push((name, text(value)));
        }
        let Written { status, headers, body } = self.run_command(command, call, variables, input).await?;
        let mut response =
            Response::new(WasiBody::new(Full::new(body).map_err(|never| -> HttpError { match never {} })));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Answers a call of a chain with what the command writes.
    pub(crate) async fn call_command(
        &self,
        command: &host::Command,
        call: Call,
        input: Payload,
    ) -> Result<Payload, Failure> {
        let (kind, input) = match input {
            Payload::Bytes(bytes) => ("application/octet-stream", bytes),
            Payload::Text(text) => ("text/plain", text.into_bytes()),
            Payload::Json(text) => ("application/json", text.into_bytes()),
        };
        let variables = vec![
            ("CONTENT_TYPE".to_owned(), kind.to_owned()),
            ("CONTENT_LENGTH".to_owned(), input.len().to_string()),
        ];
        let written = self.run_command(command, call, variables, input.into()).await?;
        let kind = written.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Ok(payload(kind, written.body.into()))
    }

    async fn run_command(
        &self,
        command: &host::Command,
        call: Call,
        variables: Vec<(String, String)>,
        input: Bytes,
    ) -> Result<Written, Failure> {
        let output = MemoryOutputPipe::new(CGI_OUTPUT_BYTES_MAX);
        let stdio = Stdio::Bytes { input, output: output.clone() };
        let mut grants = self.settings.grants.clone();
        // What the app sets is not for a client to change.
        let set = |name: &str| grants.env.iter().any(|(known, _)| known == name);
        let mut env: Vec<_> = variables.into_iter().filter(|(name, _)| !set(name)).collect();
        env.append(&mut grants.env);
        grants.env = env;
        let name = self.name.to_string();
        let host = Host::new(&[name], stdio, &grants, &self.settings.limits);
        let host = host.map_err(|error| Failure::Trapped(error.into()))?;
        let guest = self.guest_with(host).await.map_err(|error| self.trapped(error))?;
        let Guest { mut store, interruptible } = guest;
        store.data_mut().serve(call, None);
        match watched(&interruptible, command.run(&self.engine, &mut store)).await {
            Ok(0) => read(output.contents()).ok_or(Failure::NoAnswer),
            Ok(code) => Err(Failure::Exit(code)),
            Err(host::Error::Trap(error) | host::Error::Limit { source: error, .. }) => {
                Err(self.trapped(error))
            }
            Err(error) => {
                self.log(&error.to_string());
                Err(Failure::NoAnswer)
            }
        }
    }
}

/// Splits the header from the body. `None` where there is no header, or it has no sense.
fn read(output: Bytes) -> Option<Written> {
    let (end, length) = [b"\n\n".as_slice(), b"\r\n\r\n"]
        .iter()
        .filter_map(|end| Some((output.windows(end.len()).position(|window| window == *end)?, end.len())))
        .min()?;
    let head = std::str::from_utf8(&output[..end]).ok()?;
    let mut headers = HeaderMap::new();
    let mut status = StatusCode::OK;
    for line in head.lines() {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.eq_ignore_ascii_case("status") {
            true => status = value.split(' ').next()?.parse().ok()?,
            false => {
                let name = HeaderName::try_from(name.trim()).ok()?;
                headers.append(name, HeaderValue::from_str(value).ok()?);
            }
        }
    }
    Some(Written { status, headers, body: output.slice(end + length..) })
}

#[cfg(test)]
mod tests {
    use super::read;
    use bytes::Bytes;

    #[test]
    fn what_a_command_writes_has_a_header_and_a_body() {
        for (output, expected) in [
            ("Content-Type: text/plain\n\nhello\n\nyou", Some((200, 1, "hello\n\nyou"))),
            ("Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n", Some((404, 1, ""))),
            ("Content-Type: a/b\r\nX: y\r\n\r\na\n\nb", Some((200, 2, "a\n\nb"))),
            ("hello", None),
            ("hello\n\nyou", None),
            ("Status: fine\n\n", None),
            ("", None),
        ] {
            let written = read(Bytes::from_static(output.as_bytes()));
            let found = written.map(|written| {
                let body = String::from_utf8(written.body.to_vec()).expect("text");
                (written.status.as_u16(), written.headers.len(), body)
            });
            assert_eq!(
                found,
                expected.map(|(status, count, body)| (status, count, body.to_owned())),
                "{output:?}"
            );
        }
    }
}
