//! The console: pages that show what a node does, to people, and to Prometheus.
//!
//! It has a port of its own, so that whoever may send requests to an app cannot look at it. The pages are made here,
//! work without a script, and need nothing from elsewhere.

mod buckets;
mod chains;
mod chart;
mod functions;
mod graph;
mod guard;
mod logs;
mod page;
mod query;
mod reply;
mod samples;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use crate::limits::{CONSOLE_CONNECTIONS_MAX, CONSOLE_LIVE_MAX};
use crate::node::Node;
use crate::server::protocols;
use crate::{Error, metrics};
use query::Query;
use samples::Samples;

/// A console that listens.
pub struct Console {
    listener: TcpListener,
}

/// What the pages are made from.
struct View {
    node: Arc<Node>,
    samples: Samples,
    /// Those who follow the log.
    live: Arc<Semaphore>,
}

impl Console {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        Ok(Self { listener: TcpListener::bind(address).await.map_err(failed)? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Shows `node`, and counts once a second what it does, until this is dropped.
    pub async fn serve(self, node: Arc<Node>) {
        let live = Arc::new(Semaphore::new(CONSOLE_LIVE_MAX));
        let view = Arc::new(View { node, samples: Samples::default(), live });
        tokio::join!(view.samples.take(&view.node), accept(self.listener, Arc::clone(&view)));
    }
}

async fn accept(listener: TcpListener, view: Arc<View>) {
    let http = Arc::new(protocols());
    let room = Arc::new(Semaphore::new(CONSOLE_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            // As on the other port: none to try again at once.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (http, view) = (Arc::clone(&http), Arc::clone(&view));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let view = Arc::clone(&view);
                async move { Ok::<_, std::convert::Infallible>(answer(&view, request).await) }
            });
            // An error is the client's affair: it sees a closed connection.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn answer(view: &View, request: Request<Incoming>) -> Response<WasiBody> {
    let response =
        within(view, request).await.unwrap_or_else(|(status, why)| reply::text(status, &format!("{why}\n")));
    reply::guarded(response)
}

/// What a request that may ask is answered.
async fn within(view: &View, request: Request<Incoming>) -> Result<Response<WasiBody>, guard::Refusal> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    // Nothing of the node is in these.
    match segments[..] {
        ["style.css"] => return Ok(reply::asset("text/css; charset=utf-8", include_str!("style.css"))),
        ["icon.svg"] => return Ok(reply::asset("image/svg+xml", include_str!("icon.svg"))),
        _ => {}
    }
    let is_page = !matches!(segments[..], ["api", ..] | ["metrics"] | ["logs", "live"]);
    let entered = guard::check(&view.node, &request, is_page);
    match (entered, &segments[..]) {
        // A name that is not ours, or another site, is not let in by a token in the address either.
        (Ok(()) | Err((StatusCode::UNAUTHORIZED, _)), ["login"]) => return Ok(log_in(view, &query)),
        (Err((StatusCode::UNAUTHORIZED, _)), _) if is_page => {
            return Ok(page::log_in(StatusCode::UNAUTHORIZED, None));
        }
        (entered, _) => entered?,
    }
    if segments.first() == Some(&"api") {
        return Ok(crate::manage::answer(&view.node, request).await);
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = reply::text(StatusCode::METHOD_NOT_ALLOWED, "pages are only read\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let shown = match segments[..] {
        [""] => Some(functions::overview(view)),
        ["functions", name] => functions::function(view, name),
        ["chains"] => Some(chains::list(view)),
        ["chains", name] => chains::chain(view, name),
        ["chains", name, id] => chains::execution(view, name, id),
        ["buckets"] => Some(buckets::list(view)),
        ["buckets", name] => buckets::browse(view, name, &query),
        ["buckets", name, "value"] => buckets::value(view, name, &query),
        ["logs"] => Some(logs::list(view, &query)),
        ["logs", "live"] => Some(logs::live(view, &query)),
        ["metrics"] => Some(reply::metrics(metrics::text(&view.node))),
        ["console.js"] => Some(reply::asset("text/javascript; charset=utf-8", include_str!("console.js"))),
        _ => None,
    };
    Ok(shown.unwrap_or_else(|| page::missing(view, &path)))
}

/// Exchanges the token for a cookie.
fn log_in(view: &View, query: &Query) -> Response<WasiBody> {
    let Some(token) = query.text("token") else {
        return page::log_in(StatusCode::OK, None);
    };
    let Some(cookie) = guard::log_in(&view.node, &token).and_then(|cookie| cookie.try_into().ok()) else {
        return page::log_in(StatusCode::UNAUTHORIZED, Some("This is not the token of this node."));
    };
    let mut response = reply::text(StatusCode::SEE_OTHER, "");
    response.headers_mut().insert(SET_COOKIE, cookie);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    response
}
