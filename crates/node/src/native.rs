//! Native code of functions: it takes seconds to make, so it is made in the background, for one function after the other,
//! while they run as under `dense`.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use engine::{CodeCache, Engine, Program};
use host::bindings::{Level, Log};
use image::Name;

use crate::Error;
use crate::app::App;
use crate::function::Function;
use crate::log::FunctionLog;

/// Native code that a function does without for now.
pub(crate) struct Awaited {
    /// The engine that it is for.
    pub(crate) engine: Arc<Engine>,
    /// The program.
    pub(crate) bytes: Vec<u8>,
}

/// What is to be made. Nothing in it keeps an app, or what it remembers, from being let go.
pub(crate) struct Order {
    pub(crate) app: Weak<App>,
    pub(crate) name: Name,
    /// Whose code it is: one that was replaced needs none any more.
    pub(crate) function: Weak<Function>,
    pub(crate) awaited: Awaited,
    pub(crate) cache: Option<Arc<CodeCache>>,
    pub(crate) log: FunctionLog,
}

/// Where native code is made. Its thread ends with the process, and a compiler that it has started does too.
#[derive(Default)]
pub(crate) struct Workshop {
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    waiting: VecDeque<Order>,
    /// Whether there is a thread that takes them.
    is_open: bool,
}

impl Workshop {
    /// Has it made. There wait no more orders than there are functions.
    pub(crate) fn order(self: &Arc<Self>, order: Order) {
        let mut orders = self.orders();
        orders.waiting.retain(|order| order.function.strong_count() > 0);
        if !orders.is_open {
            let workshop = Arc::clone(self);
            let opened = thread::Builder::new().name("native".to_owned()).spawn(move || workshop.work());
            if let Err(error) = opened {
                return tell_failure(&order.log, &error.to_string());
            }
            orders.is_open = true;
        }
        orders.waiting.push_back(order);
    }

    fn work(&self) {
        engine::give_way();
        while let Some(order) = self.next() {
            let log = order.log.clone();
            if catch_unwind(AssertUnwindSafe(|| order.make())).is_err() {
                tell_failure(&log, "the compiler has an error");
            }
        }
    }

    fn next(&self) -> Option<Order> {
        let mut orders = self.orders();
        let order = orders.waiting.pop_front();
        orders.is_open = order.is_some();
        order
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn make(self) {
        if self.function.strong_count() == 0 {
            return;
        }
        let Awaited { engine, bytes } = &self.awaited;
        match engine.load(bytes, self.cache.as_deref()) {
            Err(error) => tell_failure(&self.log, &why(&error)),
            Ok(program) => match self.replace(program) {
                Ok(true) => self.log.line(Level::Info, "runs as native code from now on"),
                // Another program has taken its place.
                Ok(false) => {}
                Err(error) => tell_failure(&self.log, &error.to_string()),
            },
        }
    }

    fn replace(&self, program: Program) -> Result<bool, Error> {
        let (Some(app), Some(function)) = (self.app.upgrade(), self.function.upgrade()) else {
            return Ok(false);
        };
        app.renew(&self.name, &function, Arc::clone(&self.awaited.engine), program)
    }
}

/// Says that a function has no native code.
pub(crate) fn tell_failure(log: &FunctionLog, why: &str) {
    log.line(Level::Warn, &format!("runs without native code: {why}"));
}

/// Why there is no native code, in a line.
pub(crate) fn why(error: &engine::Error) -> String {
    let text = match error {
        engine::Error::Native(source) => source.to_string(),
        error => error.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
