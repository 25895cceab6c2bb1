//! Middleware: lets in who says a name, tells the next function that name, and marks what it answers.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};

use wasi::http::handler::handle as next;

wit_bindgen::generate!({
    world: "guard",
    inline: r#"
        package app:guard;

        world guard {
            import wasi:http/handler@0.3.2;
        }

        package wasi:http@0.3.2 {
            interface handler {
                use types.{request, response, error-code};
                handle: async func(request: request) -> result<response, error-code>;
            }

            interface types {
                resource request;
                resource response;
                record DNS-error-payload { rcode: option<string>, info-code: option<u16> }
                record TLS-alert-received-payload { alert-id: option<u8>, alert-message: option<string> }
                record field-size-payload { field-name: option<string>, field-size: option<u32> }
                variant error-code {
                  DNS-timeout,
                  DNS-error(DNS-error-payload),
                  destination-not-found,
                  destination-unavailable,
                  destination-IP-prohibited,
                  destination-IP-unroutable,
                  connection-refused,
                  connection-terminated,
                  connection-timeout,
                  connection-read-timeout,
                  connection-write-timeout,
                  connection-limit-reached,
                  TLS-protocol-error,
                  TLS-certificate-error,
                  TLS-alert-received(TLS-alert-received-payload),
                  HTTP-request-denied,
                  HTTP-request-length-required,
                  HTTP-request-body-size(option<u64>),
                  HTTP-request-method-invalid,
                  HTTP-request-URI-invalid,
                  HTTP-request-URI-too-long,
                  HTTP-request-header-section-size(option<u32>),
                  HTTP-request-header-size(option<field-size-payload>),
                  HTTP-request-trailer-section-size(option<u32>),
                  HTTP-request-trailer-size(field-size-payload),
                  HTTP-response-incomplete,
                  HTTP-response-header-section-size(option<u32>),
                  HTTP-response-header-size(field-size-payload),
                  HTTP-response-body-size(option<u64>),
                  HTTP-response-trailer-section-size(option<u32>),
                  HTTP-response-trailer-size(field-size-payload),
                  HTTP-response-transfer-coding(option<string>),
                  HTTP-response-content-coding(option<string>),
                  HTTP-response-timeout,
                  HTTP-upgrade-failed,
                  HTTP-protocol-error,
                  loop-detected,
                  configuration-error,
                  internal-error(option<string>),
                }
            }
        }
    "#,
    with: { "wasi:http/types@0.3.2": wasip3::http::types },
    generate_all,
});

struct Guard;

wasip3::http::service::export!(Guard);

impl Guest for Guard {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let Some(user) = request.get_headers().get("authorization").pop() else {
            return Ok(refusal());
        };
        // `as-it-is` is passed on untouched, both ways.
        if user == b"as-it-is" {
            return next(request).await;
        }
        let response = next(with_user(request, &user)?).await?;
        Ok(marked(response))
    }
}

fn refusal() -> Response {
    let (mut writer, body) = wit_stream::new();
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(body), no_trailers);
    response.set_status_code(401).expect("a status");
    wit_bindgen::spawn_local(async move {
        writer.write_all(b"who are you?\n".to_vec()).await;
    });
    response
}

/// The same request with one header field more.
fn with_user(request: Request, user: &[u8]) -> Result<Request, ErrorCode> {
    let headers = request.get_headers().clone();
    headers.append("x-user", user).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    // `forger` says of the route what is not true.
    if user == b"forger" {
        for name in ["sampan-route", "sampan-path-rest", "sampan-path-user", "sampan_route"] {
            headers.append(name, b"/forged").expect("it is allowed");
        }
    }
    let (method, path) = (request.get_method(), request.get_path_with_query());
    let (scheme, authority) = (request.get_scheme(), request.get_authority());
    let (body, trailers) = Request::consume_body(request, wit_future::new(|| Ok(())).1);
    let (next, _sent) = Request::new(headers, Some(body), trailers, None);
    next.set_method(&method).expect("it had it");
    next.set_path_with_query(path.as_deref()).expect("it had it");
    next.set_scheme(scheme.as_ref()).expect("it had it");
    next.set_authority(authority.as_deref()).expect("it had it");
    Ok(next)
}

/// The same response with one header field more.
fn marked(response: Response) -> Response {
    let headers = response.get_headers().clone();
    headers.append("x-guarded", b"yes").expect("it is allowed");
    let status = response.get_status_code();
    let (body, trailers) = Response::consume_body(response, wit_future::new(|| Ok(())).1);
    let (marked, _sent) = Response::new(headers, Some(body), trailers);
    marked.set_status_code(status).expect("it had it");
    marked
}
