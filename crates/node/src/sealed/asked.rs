//! What a sealed process may ask of its node: what its function was granted, on behalf of calls that it was given.
//!
//! The process is believed nothing: what was granted is looked up here, and limits hold here as for any function.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::Bindings;
use host::bindings::{Call, CallError, Message, Next, Payload, SendError, told};
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use state::{Bucket, Container, Error, Range};
use tokio::time::timeout_at;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::counted::Own;
use super::failure::to_response;
use super::line::{read, written};
use super::words::{Cover, Listed, Part, Sent, To, Wish};
use crate::limits::WORKER_TOLD_BYTES_MAX;

/// The header field in which a request has its [`Cover`].
pub(super) const COVER: HeaderName = HeaderName::from_static("sampan-cover");

/// What stands behind one function.
pub(super) struct Asked {
    bindings: Arc<Bindings>,
    /// The buckets that it reaches, by name: those that were granted, and those that its containers lie over.
    buckets: BTreeMap<String, Bucket>,
    /// The calls that the process was given, by their numbers.
    running: Mutex<HashMap<u64, Running>>,
    last: AtomicU64,
}

struct Running {
    call: Call,
    next: Option<Arc<dyn Next>>,
}

/// A call that the process was given, until this is dropped.
pub(super) struct Given {
    asked: Arc<Asked>,
    pub(super) number: u64,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.asked.running().remove(&self.number);
    }
}

impl Asked {
    pub(super) fn new(bindings: Arc<Bindings>) -> Arc<Self> {
        let containers = bindings.containers.values().map(Container::bucket);
        let reached = bindings.buckets.values().chain(containers);
        let buckets = reached.map(|bucket| (bucket.spec().name.clone(), bucket.clone())).collect();
        Arc::new(Self { bindings, buckets, running: Mutex::default(), last: AtomicU64::new(0) })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a call to the process. What it passes on as middleware goes to `next`.
    pub(super) fn give(self: &Arc<Self>, call: Call, next: Option<Arc<dyn Next>>) -> Given {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, Running { call, next });
        Given { asked: Arc::clone(self), number }
    }

    /// The call that the process says it makes, if it is below one that it was given, and no later than that.
    fn below(&self, part: Part) -> Result<Call, CallError> {
        let call = Call::from(part);
        let running = self.running();
        let above = running.values().map(|running| running.call);
        let above = above.filter(|above| above.chain == call.chain && above.depth < call.depth);
        let deadline = above.map(|above| above.deadline).max().ok_or(CallError::Late)?;
        Ok(Call { deadline: call.deadline.min(deadline), ..call })
    }

    /// Answers what the process asks in a message.
    pub(super) async fn answer(self: Arc<Self>, own: Arc<Own>, wish: Vec<u8>) -> Vec<u8> {
        match read(&wish) {
            // What is only told is dropped where it is too much.
            Ok(Wish::Record(_) | Wish::Span(_) | Wish::Metrics(_)) if wish.len() > WORKER_TOLD_BYTES_MAX => {
                said(&())
            }
            Ok(wish) => self.grant(&own, wish).await,
            // Nothing reads as an answer to what is no question.
            Err(_) => Vec::new(),
        }
    }

    async fn grant(&self, own: &Own, wish: Wish) -> Vec<u8> {
        let Bindings { store, sql, connections, .. } = &*self.bindings;
        match wish {
            Wish::Get { bucket, key } => self.kept(&bucket, |bucket| store.get(bucket, &key)),
            Wish::Scan { bucket, part } => self.kept(&bucket, |bucket| store.scan(bucket, part.range())),
            Wish::Keys { bucket, part } => self.kept(&bucket, |bucket| store.keys(bucket, part.range())),
            Wish::Usage { bucket } => self.kept(&bucket, |bucket| store.usage(bucket)),
            Wish::Write { bucket, batch } => {
                let writing = self.bucket(&bucket).map(|bucket| store.write(bucket, batch));
                let result = match writing {
                    Ok(writing) => writing.await,
                    Err(error) => Err(error),
                };
                said(&result.map_err(|error| self.fault(error)))
            }
            Wish::Sql(work) => {
                let result = match sql {
                    Some(sql) => sql.run(work).await,
                    None => Err(Error::SqlDenied("it was not granted".to_owned())),
                };
                said(&result.map_err(|error| self.fault(error)))
            }
            Wish::Call { part, name, input } => said(&self.call(part, &name, input).await),
            Wish::Send { connection, message } => said(&match connections {
                Some(connections) => connections.send(&connection, message.into()),
                None => Err(SendError::Closed),
            }),
            Wish::Close { connection } => {
                if let Some(connections) = connections {
                    connections.close(&connection);
                }
                said(&())
            }
            Wish::Record(record) => {
                self.bindings.log.record(record);
                said(&())
            }
            Wish::Span(span) => {
                // It tells of its own calls only.
                let is_known = self.running().values().any(|running| running.call.chain == span.trace_id);
                if let Some(telemetry) = self.bindings.telemetry.as_ref().filter(|_| is_known) {
                    telemetry.span(span);
                }
                said(&())
            }
            Wish::Metrics(metrics) => {
                if let Some(telemetry) = &self.bindings.telemetry {
                    telemetry.metrics(&self.bindings.name, metrics);
                }
                said(&())
            }
            Wish::Instances(now) => {
                own.count(now);
                said(&())
            }
        }
    }

    fn bucket(&self, name: &str) -> Result<&Bucket, Error> {
        self.buckets.get(name).ok_or_else(|| Error::NoBucket(name.to_owned()))
    }

    /// What a bucket has.
    fn kept<T: Serialize>(&self, name: &str, look: impl FnOnce(&Bucket) -> Result<T, Error>) -> Vec<u8> {
        said(&self.bucket(name).and_then(look).map_err(|error| self.fault(error)))
    }

    /// An error as the process may know it: what is for the operator goes to the log.
    fn fault(&self, error: Error) -> Error {
        match error.fault() {
            Some(_) => Error::Fault(told(&*self.bindings.log, &error)),
            None => error,
        }
    }

    async fn call(&self, part: Part, name: &str, input: Payload) -> Result<Payload, CallError> {
        let call = self.callable(part, name)?;
        let calling = self.bindings.siblings.call(name, call, input);
        timeout_at(call.deadline.into(), calling).await.unwrap_or(Err(CallError::Late))
    }

    fn callable(&self, part: Part, name: &str) -> Result<Call, CallError> {
        match self.bindings.calls.contains(name) {
            true => self.below(part),
            false => Err(CallError::Denied),
        }
    }

    /// Answers what the process asks as a request: of a sibling, or of what comes after it.
    pub(super) async fn request(self: Arc<Self>, mut request: Request<Incoming>) -> Response<WasiBody> {
        let cover = request.headers_mut().remove(COVER);
        let Some(cover) = cover.as_ref().and_then(Cover::from_header) else {
            return to_response(&CallError::Denied);
        };
        *request.version_mut() = cover.version();
        let Cover { part, to, .. } = cover;
        let request = request.map(|body| WasiBody::new(body.map_err(HttpError::from)));
        let answered = match to {
            To::Function(name) => match self.callable(part, &name) {
                Ok(call) => {
                    let answering = self.bindings.siblings.request(&name, call, request);
                    timeout_at(call.deadline.into(), answering).await.unwrap_or(Err(CallError::Late))
                }
                Err(error) => Err(error),
            },
            To::Rest(_) => Err(CallError::Denied),
            To::Next(number) => {
                let next = self.running().get(&number).and_then(|running| running.next.clone());
                match (next, self.below(part)) {
                    (Some(next), Ok(call)) => Ok(next.answer(call, request).await),
                    (None, _) => Err(CallError::Denied),
                    (_, Err(error)) => Err(error),
                }
            }
        };
        answered.unwrap_or_else(|error| to_response(&error))
    }
}

impl Listed {
    fn range(&self) -> Range<'_> {
        Range { prefix: &self.prefix, after: self.after.as_deref(), limit: self.limit }
    }
}

impl From<Sent> for Message {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Text(text) => Self::Text(text.into()),
            Sent::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

fn said(answer: &impl Serialize) -> Vec<u8> {
    // What cannot be written is not read either.
    written(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant, SystemTime};

    use host::bindings::{Calling, Level, Log, Record, Siblings};
    use state::{BucketSpec, Durability, Memory, Store};

    use super::*;

    /// Functions that return how deep they are.
    struct Deep;

    impl Siblings for Deep {
        fn call(&self, _: &str, call: Call, _: Payload) -> Calling<Result<Payload, CallError>> {
            let left = call.deadline.saturating_duration_since(Instant::now());
            Box::pin(async move { Ok(Payload::Text(format!("{} {}", call.depth, left.as_secs() > 60))) })
        }

        fn request(
            &self,
            _: &str,
            _: Call,
            _: Request<WasiBody>,
        ) -> Calling<Result<Response<WasiBody>, CallError>> {
            Box::pin(async { Err(CallError::Denied) })
        }
    }

    struct Silent;

    impl Log for Silent {
        fn line(&self, _: Level, _: &str) {}
        fn record(&self, _: Record) {}
        fn fault(&self, _: &str) {}
    }

    fn asked() -> Arc<Asked> {
        let store = Memory::new(Arc::new(SystemTime::now));
        let bucket = |name| Bucket::new(BucketSpec::new("app", name, Durability::Memory)).expect("a name");
        for name in ["mine", "other"] {
            store.open(&bucket(name)).expect("it is made");
        }
        let store: Arc<dyn Store> = Arc::new(store);
        let container = |name| {
            let spec = BucketSpec::new("app", name, Durability::Memory);
            let container =
                Container::new(Arc::clone(&store), spec, Arc::new(SystemTime::now)).expect("a name");
            container.open().expect("it is made");
            container
        };
        container("another");
        Asked::new(Arc::new(Bindings {
            name: "function".to_owned(),
            containers: BTreeMap::from([("box".to_owned(), container("box"))]),
            store,
            buckets: BTreeMap::from([("mine".to_owned(), bucket("mine"))]),
            sql: None,
            config: BTreeMap::new(),
            calls: BTreeSet::from(["sibling".to_owned()]),
            siblings: Arc::new(Deep),
            connections: None,
            log: Arc::new(Silent),
            telemetry: None,
        }))
    }

    fn own() -> Arc<Own> {
        Arc::new(Own::new(Arc::default()))
    }

    fn call(chain: u128, depth: u32) -> Call {
        Call { chain, span: 0, depth, deadline: Instant::now() + Duration::from_secs(30) }
    }

    async fn ask<T: serde::de::DeserializeOwned>(asked: &Arc<Asked>, wish: &Wish) -> T {
        let said = Arc::clone(asked).answer(own(), written(wish).expect("a wish")).await;
        read(&said).expect("an answer")
    }

    #[tokio::test]
    async fn only_what_was_granted_is_reached() {
        let asked = asked();
        let get = |bucket: &str| Wish::Get { bucket: bucket.to_owned(), key: b"key".to_vec() };
        let found: Result<Option<state::Entry>, Error> = ask(&asked, &get("mine")).await;
        assert!(matches!(found, Ok(None)), "{found:?}");
        let found: Result<Option<state::Entry>, Error> = ask(&asked, &get(".blobs/box")).await;
        assert!(matches!(found, Ok(None)), "{found:?}");
        for bucket in ["other", ".blobs", ".blobs/another", ".blobs/", "box", "app/other", ""] {
            let found: Result<Option<state::Entry>, Error> = ask(&asked, &get(bucket)).await;
            assert!(matches!(found, Err(Error::NoBucket(_))), "{bucket}: {found:?}");
        }
        let sql = host::bindings::SqlWork::Batch(Vec::new());
        let done: Result<host::bindings::SqlDone, Error> = ask(&asked, &Wish::Sql(sql)).await;
        assert!(matches!(done, Err(Error::SqlDenied(_))), "{done:?}");
        assert!(Arc::clone(&asked).answer(own(), vec![0xff; 100]).await.is_empty());
    }

    #[tokio::test]
    async fn it_calls_on_behalf_of_calls_that_it_was_given() {
        let asked = asked();
        let wish = |name: &str, call: Call| Wish::Call {
            part: call.into(),
            name: name.to_owned(),
            input: Payload::Bytes(Vec::new()),
        };
        let called =
            async |name: &str, call| -> Result<Payload, CallError> { ask(&asked, &wish(name, call)).await };
        assert_eq!(called("sibling", call(1, 1)).await, Err(CallError::Late), "it was given none");
        let given = asked.give(call(1, 3), None);
        assert_eq!(called("sibling", call(1, 3)).await, Err(CallError::Late), "no deeper than its own");
        assert_eq!(called("sibling", call(2, 4)).await, Err(CallError::Late), "another chain");
        assert_eq!(called("other", call(1, 4)).await, Err(CallError::Denied));
        let later = Call { deadline: Instant::now() + Duration::from_secs(600), ..call(1, 4) };
        assert_eq!(called("sibling", later).await, Ok(Payload::Text("4 false".to_owned())));
        drop(given);
        assert_eq!(called("sibling", call(1, 4)).await, Err(CallError::Late), "it has ended");
    }
}
