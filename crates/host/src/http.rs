//! Outgoing HTTP: which servers a program may send requests to.

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::Authorities;
use crate::denials::{Denial, Denials};
use crate::grants::Peer;
use crate::send::{Answer, port, send};

/// The HTTP grants of one program, and where what they refuse is remembered.
pub(crate) struct Outgoing {
    pub(crate) granted: Vec<Peer>,
    pub(crate) authorities: Authorities,
    pub(crate) denials: Denials,
}

type Sending = Box<dyn Future<Output = Result<Answer, Error>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _received: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let Some(authority) = request.uri().authority() else {
            return Box::new(async { Err(Error::HttpRequestUriInvalid) });
        };
        let port = port(authority, request.uri().scheme());
        if !self.granted.iter().any(|peer| peer.covers(authority.host(), port)) {
            self.denials.record(Denial::Http(format!("{}:{port}", authority.host())));
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        Box::new(send(request, options, self.authorities.clone()))
    }
}
