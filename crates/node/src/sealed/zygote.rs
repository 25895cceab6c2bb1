//! The zygote of a node: started when the first sealed process is wanted, and again when it has died.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use engine::sealed::{self, Blank, Error, Outside, Plan};

/// Starts of a zygote for one process: one that died meanwhile is replaced.
const STARTS_MAX: usize = 3;

/// What makes the sealed processes of a node.
pub struct Zygote {
    living: Mutex<Option<Arc<sealed::Zygote>>>,
    /// A process for whichever function needs one next.
    blank: Mutex<Option<Blank>>,
    /// To the thread that starts zygotes.
    starting: SyncSender<SyncSender<io::Result<sealed::Zygote>>>,
}

impl Zygote {
    /// One that `command` starts: what that runs calls [`work`](super::work).
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn new(command: impl Fn() -> Command + Send + 'static) -> io::Result<Self> {
        let (starting, asked) = sync_channel(1);
        // Sealed processes end with the thread that started their zygote: this one ends last of all.
        thread::Builder::new().name("zygote".to_owned()).spawn(move || start_each(&command, &asked))?;
        Ok(Self { living: Mutex::default(), blank: Mutex::default(), starting })
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
        let standing_by = if limits_processors { None } else { self.blank().take() };
        if let Some(blank) = standing_by {
            match blank.tell(plan, order, streams, &mut meanwhile) {
                // It has died meanwhile.
                Err(Error::Process(_)) => {}
                told => return told,
            }
        }
        self.bear_blank(limits_processors)?.tell(plan, order, streams, meanwhile)
    }

    /// Sees to it that a process stands by, which the next start need not wait for. Blocks.
    pub(super) fn stand_by(&self) {
        let stands_by = self.blank().is_some();
        // Why there is none, who needs it will be told.
        if !stands_by && let Ok(blank) = self.bear_blank(false) {
            let other = self.blank().replace(blank);
            // Somebody else was as quick.
            drop(other);
        }
    }

    fn blank(&self) -> MutexGuard<'_, Option<Blank>> {
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
            self.forget(&zygote);
        }
        born
    }

    fn living(&self) -> io::Result<Arc<sealed::Zygote>> {
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(living) = &*living {
            return Ok(Arc::clone(living));
        }
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

/// Starts a zygote whenever one is asked for: the one before has died.
fn start_each(command: &dyn Fn() -> Command, asked: &Receiver<SyncSender<io::Result<sealed::Zygote>>>) {
    let mut last: Option<Child> = None;
    for answer in asked {
        if let Some(mut dead) = last.take() {
            // It has ended, or does not do what it should.
            let _ = dead.kill().and_then(|()| dead.wait());
        }
        let started = start(command()).map(|(zygote, child)| {
            last = Some(child);
            zygote
        });
        // Who asked waits for it.
        let _ = answer.send(started);
    }
    // Nobody holds the other end of its socket any more.
    let _ = last.map(|mut child| child.wait());
}

fn start(mut command: Command) -> io::Result<(sealed::Zygote, Child)> {
    let (zygote, theirs) = sealed::Zygote::pair()?;
    // What stops the node from a terminal lets requests come to their end first.
    let child = command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).process_group(0).spawn()?;
    Ok((zygote, child))
}
