//! Who may look at the console, and from where: other pages in the same browser and other machines may not.
//!
//! On a loopback address anybody on this machine may look. A page from elsewhere that a browser of this machine shows is
//! kept out by its name for us (`Host`, against DNS rebinding) and by what the browser says of it (`Origin`,
//! `Sec-Fetch-Site`). On any other address each request needs the token.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};

use crate::node::Node;

/// The name of the cookie that says its bearer has shown the token.
const COOKIE_NAME: &str = "sampan";

/// What the cookie's value is derived for: it opens the console, and does not tell the token.
const COOKIE_PURPOSE: &str = "sampan console cookie v1";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
pub(super) type Refusal = (StatusCode, &'static str);

/// Lets a request in, or says why not. `is_page` is whether it only shows something to a person.
pub(super) fn check<B>(node: &Node, request: &Request<B>, is_page: bool) -> Result<(), Refusal> {
    let is_loopback = node.console.ip().is_loopback();
    let (method, headers) = (request.method(), request.headers());
    let host = host(request);
    if is_loopback && !host.as_deref().is_some_and(names_loopback) {
        return Err((
            StatusCode::MISDIRECTED_REQUEST,
            "this console answers to `localhost` and loopback addresses only",
        ));
    }
    let reads = method == Method::GET || method == Method::HEAD;
    if !(reads && is_page) && comes_from_elsewhere(headers, host.as_deref()) {
        return Err((StatusCode::FORBIDDEN, "another site may not ask for this"));
    }
    let has_token = bears_token(node, headers);
    if !is_loopback && !has_token {
        return Err((
            StatusCode::UNAUTHORIZED,
            "this console needs its token: `Authorization: Bearer TOKEN`, or /login?token=TOKEN",
        ));
    }
    if !reads && !has_token && !is_same_origin(headers, host.as_deref()) {
        return Err((
            StatusCode::FORBIDDEN,
            "a change needs the token: `Authorization: Bearer TOKEN`, or a page of this console",
        ));
    }
    Ok(())
}

/// The value of `Set-Cookie` for whoever shows this token, if it is the right one.
pub(super) fn log_in(node: &Node, token: &str) -> Option<String> {
    is_same(token, &node.token).then(|| {
        format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800", cookie(&node.token))
    })
}

/// What a client calls us: the authority of its request.
fn host<B>(request: &Request<B>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_owned());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?.to_owned();
    hosts.next().is_none().then_some(host)
}

/// Whether `host`, with or without a port, can only mean this machine.
fn names_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    // The parser takes anything for a port, and a user's name before the host.
    let port = host
        .strip_prefix(name)
        .and_then(|rest| if rest.is_empty() { Some("0") } else { rest.strip_prefix(':') });
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a browser says that a page which is not ours asks.
fn comes_from_elsewhere(headers: &HeaderMap, host: Option<&str>) -> bool {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    let elsewhere = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    elsewhere || (headers.contains_key(ORIGIN) && !is_own_origin(headers, host))
}

/// Whether a browser says that a page of ours asks.
fn is_same_origin(headers: &HeaderMap, host: Option<&str>) -> bool {
    is_own_origin(headers, host) || headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin")
}

fn is_own_origin(headers: &HeaderMap, host: Option<&str>) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    // A proxy in front may encrypt.
    let origin = origin.and_then(|origin| origin.strip_prefix("http://").or(origin.strip_prefix("https://")));
    origin.is_some() && origin == host
}

fn bears_token(node: &Node, headers: &HeaderMap) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| is_same(given, &node.token))
    {
        return true;
    }
    let expected = cookie(&node.token);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).any(|pair| match pair.trim().split_once('=') {
        Some((COOKIE_NAME, given)) => is_same(given, &expected),
        _ => false,
    })
}

fn cookie(token: &str) -> String {
    blake3::Hash::from_bytes(blake3::derive_key(COOKIE_PURPOSE, token.as_bytes())).to_hex().to_string()
}

/// Compares in a time that does not tell how much is alike: that of two hashes.
fn is_same(given: &str, expected: &str) -> bool {
    !expected.is_empty() && blake3::hash(given.as_bytes()) == blake3::hash(expected.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::names_loopback;

    #[test]
    fn loopback_has_few_names() {
        for host in ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:8081"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "[::2]",
            "localhost:x",
            "a@b",
        ] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
