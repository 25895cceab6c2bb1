//! Outgoing HTTP: which servers a program may send requests to.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::bindings::{Call, CallError, TRACEPARENT, traceparent};
use crate::denials::{Denial, Denials};
use crate::grants::Peer;
use crate::send::{Answer, Sending, port, send};
use crate::{Authorities, Bindings};

/// The HTTP grants of one program, and where what they refuse is remembered.
pub(crate) struct Outgoing {
    pub(crate) granted: Vec<Peer>,
    pub(crate) authorities: Authorities,
    pub(crate) bindings: Option<Arc<Bindings>>,
    pub(crate) call: Option<Call>,
    pub(crate) denials: Denials,
}

/// What the host names of an app's functions end in, inside the app.
const SIBLINGS: &str = ".sampan.internal";

impl Outgoing {
    /// A request to a function of the same app, which does not leave the process.
    fn to_sibling(&self, name: &str, request: http::Request<WasiBody>) -> Sending {
        let (Some(bindings), Some(call)) = (&self.bindings, self.call) else {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        if !bindings.calls.contains(name) {
            self.denials.record(Denial::Call(name.to_owned()));
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let answering = call.below().map(|call| bindings.siblings.request(name, call, request));
        Box::new(async move {
            let answered = async { answering?.await };
            let response = answered.await.map_err(|error| match error {
                CallError::Late => Error::ConnectionReadTimeout,
                CallError::Busy => Error::ConnectionLimitReached,
                error => Error::InternalError(Some(error.to_string())),
            })?;
            Ok::<Answer, Error>((response, Box::new(async { Ok(()) })))
        })
    }
}

impl Outgoing {
    /// Names the call to a server elsewhere, where it is traced. A program that traces knows better what it is a part of.
    fn tell_trace(&self, headers: &mut HeaderMap) {
        let is_traced = self.bindings.as_ref().is_some_and(|bindings| bindings.telemetry.is_some());
        if let Some(call) = self.call.filter(|_| is_traced) {
            headers.entry(TRACEPARENT).or_insert_with(|| traceparent(call.chain, call.span));
        }
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let Some(authority) = request.uri().authority() else {
            return Box::new(async { Err(Error::HttpRequestUriInvalid) });
        };
        if let Some(name) = authority.host().strip_suffix(SIBLINGS) {
            let name = name.to_owned();
            return self.to_sibling(&name, request);
        }
        let port = port(authority, request.uri().scheme());
        let host = authority.host().to_owned();
        if !self.granted.iter().any(|peer| peer.covers(&host, port)) {
            self.denials.record(Denial::Http(format!("{host}:{port}")));
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        self.tell_trace(request.headers_mut());
        let (granted, denials) = (self.granted.clone(), self.denials.clone());
        let allows = move |address: &SocketAddr| {
            let allowed = granted.iter().any(|peer| peer.reaches(&host, *address));
            if !allowed {
                denials.record(Denial::Http(address.to_string()));
            }
            allowed
        };
        Box::new(send(request, options, self.authorities.clone(), allows))
    }
}
