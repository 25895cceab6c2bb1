//! The zygote of a node: started when the first sealed process is wanted; and again when it has died, as is the process that
//! stands by.

use std::io::{self, PipeWriter, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};
use std::thread;

use engine::sealed::{self, Blank, Error, Outside, Plan};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::missed::Missed;
use crate::limits::{SWEEPS_MAX, WORKER_PAUSE};

/// Starts of a zygote for one process: one that died meanwhile is replaced.
const STARTS_MAX: usize = 3;

/// What makes the sealed processes of a node.
pub struct Zygote(Arc<Makers>);

/// The zygote, and the process that stands by.
struct Makers {
    living: Mutex<Option<Arc<sealed::Zygote>>>,
    /// A process for whichever function needs one next.
    blank: Mutex<Option<StandingBy>>,
    /// To the thread that starts zygotes.
    starting: SyncSender<SyncSender<io::Result<sealed::Zygote>>>,
    /// Told when one of them has died, or there is none.
    missed: Arc<Notify>,
    /// Whether somebody replaces them.
    kept: Once,
}

struct StandingBy {
    /// Its end is waited for until this is dropped, which is before it is put away.
    watch: PipeWriter,
    blank: Blank,
}

impl Zygote {
    /// One that `command` starts: what that runs calls [`work`](super::work).
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn new(command: impl Fn() -> Command + Send + 'static) -> io::Result<Self> {
        let (starting, asked) = sync_channel(1);
        let missed = Arc::<Notify>::default();
        let misses = Arc::clone(&missed);
        // Sealed processes end with the thread that started their zygote: this one ends last of all.
        thread::Builder::new()
            .name("zygote".to_owned())
            .spawn(move || start_each(&command, &asked, &misses))?;
        let (living, blank, kept) = (Mutex::default(), Mutex::default(), Once::new());
        Ok(Self(Arc::new(Makers { living, blank, starting, missed, kept })))
    }

    /// A process that was told this, with these standard streams, and is sealed; `meanwhile` is done while it seals itself.
    /// Blocks.
    pub(super) fn bear(
        &self,
        plan: &Plan,
        order: &[u8],
        streams: [BorrowedFd<'_>; 3],
        mut meanwhile: impl FnMut(),
    ) -> Result<Outside, Error> {
        let limits_processors = plan.processors.is_some();
        let standing_by = if limits_processors { None } else { self.0.blank().take() };
        if let Some(StandingBy { blank, watch }) = standing_by {
            drop(watch);
            match blank.tell(plan, order, streams, &mut meanwhile) {
                // It has died meanwhile, or lacks what could not be had when it was made.
                Err(Error::Process(_) | Error::Refused(_)) => self.0.missed.notify_one(),
                told => return told,
            }
        }
        self.0.bear_blank(limits_processors)?.tell(plan, order, streams, meanwhile)
    }

    /// Sees to it that a process stands by, which the next start need not wait for; from now on, whatever becomes of it. Blocks.
    pub(super) fn stand_by(&self) {
        self.0.stand_by();
        self.0.kept.call_once(|| {
            tokio::spawn(keep(Arc::downgrade(&self.0), Missed::new(Arc::clone(&self.0.missed))));
            tokio::spawn(sweep());
        });
    }
}

impl Makers {
    /// Has a zygote and a process that stands by, where there are none. Why there are none then, who needs one will be told.
    fn stand_by(self: &Arc<Self>) {
        let stands_by = self.blank().is_some();
        let done = match stands_by {
            true => self.living().map(drop).map_err(Error::from),
            false => self.put_by(),
        };
        if done.is_err() {
            self.missed.notify_one();
        }
    }

    fn put_by(self: &Arc<Self>) -> Result<(), Error> {
        let blank = self.bear_blank(false)?;
        let other = {
            // Whoever buries it finds it there.
            let mut place = self.blank();
            let watch = watch(&blank, Arc::downgrade(self))?;
            place.replace(StandingBy { watch, blank })
        };
        // Somebody else was as quick.
        drop(other);
        Ok(())
    }

    /// Puts away what is left of a process that stood by, and has ended.
    fn bury(&self, pid: i32) {
        let dead = self.blank().take_if(|standing_by| standing_by.blank.pid() == pid);
        drop(dead);
        self.missed.notify_one();
    }

    fn blank(&self) -> MutexGuard<'_, Option<StandingBy>> {
        self.blank.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`sealed::Zygote::bear`], by a zygote that lives.
    fn bear_blank(&self, limits_processors: bool) -> Result<Blank, Error> {
        let mut born = Err(Error::Zygote);
        for _ in 0..STARTS_MAX {
            let zygote = self.living()?;
            born = zygote.bear(limits_processors);
            if !matches!(born, Err(Error::Zygote)) {
                break;
            }
            // It has ended, or does not do what it should.
            zygote.end();
            self.forget(&zygote);
        }
        born
    }

    fn living(&self) -> io::Result<Arc<sealed::Zygote>> {
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(living) = living.as_ref().filter(|living| !living.has_ended()) {
            return Ok(Arc::clone(living));
        }
        *living = None;
        let gone = || io::Error::other("nobody starts zygotes any more");
        let (answer, started) = sync_channel(1);
        self.starting.send(answer).map_err(|_| gone())?;
        let started = Arc::new(started.recv().map_err(|_| gone())??);
        Ok(Arc::clone(living.insert(started)))
    }

    /// Has another one started next time, if there is none yet.
    fn forget(&self, dead: &Arc<sealed::Zygote>) {
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.take_if(|living| Arc::ptr_eq(living, dead));
    }
}

/// Starts a zygote whenever one is asked for: the one before has died, or is about to.
fn start_each(
    command: &dyn Fn() -> Command,
    asked: &Receiver<SyncSender<io::Result<sealed::Zygote>>>,
    missed: &Notify,
) {
    for answer in asked {
        let (zygote, child) = match sealed::Zygote::start(command()) {
            Ok((zygote, child)) => (Ok(zygote), Some(child)),
            Err(error) => (Err(error), None),
        };
        // Who asked waits for it.
        let _ = answer.send(zygote);
        if let Some(mut child) = child {
            // Whatever is said of its end, it has come.
            let _ = child.wait();
            missed.notify_one();
        }
    }
}

/// Has what is left of a process put away when it ends; until what this returns is dropped.
fn watch(blank: &Blank, makers: Weak<Makers>) -> io::Result<PipeWriter> {
    let (pid, death) = (blank.pid(), blank.death()?);
    let (let_go, watch) = pipe()?;
    thread::Builder::new().name("stands by".to_owned()).spawn(move || {
        if death.wait(let_go.as_fd()).is_ok_and(|has_died| has_died)
            && let Some(makers) = makers.upgrade()
        {
            makers.bury(pid);
        }
    })?;
    Ok(watch)
}

/// Replaces the zygote, and the process that stands by, when one of them has died.
async fn keep(makers: Weak<Makers>, mut missed: Missed) {
    loop {
        missed.wait().await;
        let Some(makers) = makers.upgrade() else { return };
        // It does not panic.
        let _ = spawn_blocking(move || makers.stand_by()).await;
    }
}

/// Puts away what nodes left behind that were killed, when the processes in it have ended, too.
async fn sweep() {
    let mut pause = WORKER_PAUSE;
    for _ in 0..SWEEPS_MAX {
        match spawn_blocking(sealed::sweep).await {
            Ok(true) => sleep(pause).await,
            _ => return,
        }
        pause *= 2;
    }
}
