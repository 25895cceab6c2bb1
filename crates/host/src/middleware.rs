//! `wasi:http/handler` as middleware imports it: a function passes a request on to what comes after it on its route.

use std::sync::Arc;

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttp, WasiHttpHooks};

use crate::Host;
use crate::bindings::{Call, CallError, Next};
use crate::send::Sending;

/// The interface, without its version.
pub(crate) const INTERFACE: &str = "wasi:http/handler@0.3.";

/// Where the requests go that a function passes on.
#[derive(Default)]
pub(crate) struct Passing {
    /// `None` where the function is no middleware, or does nothing for a request of a route.
    pub(crate) to: Option<(Call, Arc<dyn Next>)>,
}

impl WasiHttpHooks for Passing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _received: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let Some((call, next)) = &self.to else {
            let reason = "nothing comes after this function".to_owned();
            return Box::new(async { Err(Error::InternalError(Some(reason))) });
        };
        let answering = call.below().map(|call| next.answer(call, request));
        Box::new(async move {
            let answering = answering.map_err(|error| match error {
                CallError::Late => Error::ConnectionReadTimeout,
                error => Error::InternalError(Some(error.to_string())),
            })?;
            Ok((answering.await, Box::new(async { Ok(()) }) as _))
        })
    }
}

/// Links `interface`. To pass a request on is to send it, to a place that the function does not choose.
///
/// # Errors
/// Those of Wasmtime, for names defined twice; there are none.
pub(crate) fn link(linker: &mut Linker<Host>, interface: &str) -> wasmtime::Result<()> {
    linker.instance(interface)?.func_wrap_concurrent(
        "handle",
        |accessor: &Accessor<Host>, (request,): (Resource<Request>,)| {
            let accessor = accessor.with_getter::<WasiHttp>(Host::passing);
            Box::pin(async move {
                let sent = <WasiHttp as HostWithStore<Host>>::send(&accessor, request).await;
                let answered: Result<Resource<Response>, ErrorCode> = match sent {
                    Ok(response) => Ok(response),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((answered,))
            })
        },
    )
}
