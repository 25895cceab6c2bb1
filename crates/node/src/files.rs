//! Static files of an app: what is in a directory, and nothing beside it.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::limits::FILE_PIECE_BYTES;
use crate::respond::say;

/// What a directory answers with.
const INDEX: &str = "index.html";

/// Answers with the file `rest` of the directory `root`.
pub(crate) async fn answer(root: &Path, rest: &str, request: &Parts) -> Response<WasiBody> {
    if request.method != Method::GET && request.method != Method::HEAD {
        return say(StatusCode::METHOD_NOT_ALLOWED, "files are read only\n");
    }
    let Some(path) = inside(rest) else {
        return say(StatusCode::NOT_FOUND, "no such file\n");
    };
    let root = root.to_owned();
    match tokio::task::spawn_blocking(move || open(&root, &path)).await {
        Ok(Ok(found)) => respond(found, request),
        // Whatever the reason, and whatever is there: a client is told no more.
        Ok(Err(_)) | Err(_) => say(StatusCode::NOT_FOUND, "no such file\n"),
    }
}

/// An open file, and what is said of it.
struct Found {
    file: File,
    bytes: u64,
    modified: SystemTime,
    kind: &'static str,
}

/// The path that a part of a URL names, if it stays where it is.
fn inside(rest: &str) -> Option<PathBuf> {
    let decoded = percent_encoding::percent_decode_str(rest).decode_utf8().ok()?;
    let path = Path::new(&*decoded);
    // Files that begin with a dot are not for everybody: `.git`, `.env`, `.sampan`.
    let allowed = |part: Component<'_>| matches!(part, Component::Normal(name) if !name.to_string_lossy().starts_with('.'));
    (path.components().all(allowed) && !decoded.contains(['\0', '\\'])).then(|| path.to_owned())
}

/// Opens the file at `path`. Nothing outside of `root` is opened, wherever links lead, and also when they change meanwhile.
fn open(root: &Path, path: &Path) -> io::Result<Found> {
    let root = Dir::open_ambient_dir(root, ambient_authority())?;
    let is_dir = path.as_os_str().is_empty() || root.metadata(path)?.is_dir();
    let path = if is_dir { &path.join(INDEX) } else { path };
    // To open a pipe would wait for its other end.
    if !root.metadata(path)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = root.open(path)?.into_std();
    let metadata = file.metadata()?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(Found { file: File::from_std(file), bytes: metadata.len(), modified, kind: kind(path) })
}

fn respond(found: Found, request: &Parts) -> Response<WasiBody> {
    let Found { file, bytes, modified, kind } = found;
    let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let tag = format!("\"{:x}-{bytes:x}\"", age.as_nanos());
    let known = request.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let body = match known || request.method == Method::HEAD {
        true => WasiBody::new(Empty::new().map_err(|never| match never {})),
        false => WasiBody::new(StreamBody::new(pieces(file))),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    match known {
        true => *response.status_mut() = StatusCode::NOT_MODIFIED,
        false => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes))),
    }
    response
}

fn pieces(file: File) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, HttpError>> + Send {
    futures_util::stream::unfold(file, async |mut file| {
        let mut piece = vec![0; FILE_PIECE_BYTES];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Ok(Frame::data(Bytes::from(piece))), file))
            }
            Err(error) => Some((Err(HttpError::InternalError(Some(error.to_string()))), file)),
        }
    })
}

/// The media type of a file, by its name.
fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_path_stays_inside() {
        for (rest, expected) in [
            ("", Some("")),
            ("index.html", Some("index.html")),
            ("a/b.css", Some("a/b.css")),
            ("a%20b", Some("a b")),
            ("../secret", None),
            ("%2e%2e/secret", None),
            ("a/%2e%2e/%2e%2e/secret", None),
            ("/etc/passwd", None),
            ("%2fetc/passwd", None),
            (".env", None),
            ("a/.git/config", None),
            ("a%00b", None),
            ("..%5csecret", None),
            ("%ff", None),
        ] {
            assert_eq!(inside(rest).as_deref(), expected.map(std::path::Path::new), "{rest}");
        }
    }
}
