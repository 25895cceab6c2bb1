//! The named maxima of this crate.

use std::time::Duration;

/// Calls from outside, of all functions together, that run at once.
pub const RUNNING_MAX: u32 = 10_000;

/// Random names that a thread makes at once.
pub const RANDOM_IDS: usize = 64;

/// Connections that are open at once; more of them wait to be accepted.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Connections that wait to be accepted, at most: a client whose connection finds no room tries again after a second.
pub const BACKLOG: u32 = 4_096;

/// The longest that a request may take, whatever the functions that answer it may take.
pub const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a client may take to send the head of a request.
pub const HEAD_WAIT: Duration = Duration::from_secs(30);

/// Bytes that the head of a request may have.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Header fields that a request may have.
pub const HEADERS_MAX: usize = 128;

/// How long calls that run may go on when the node is told to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// Time slice of a function: after it, others have their turn.
pub const SLICE_TICKS: u64 = 1;

/// Bytes of an instance from which on it is dropped on a thread of its own.
pub const DROP_APART_BYTES_MIN: usize = 16 << 20;

/// Instances that are dropped so at once.
pub const DROPS_APART_MAX: usize = 16;

/// Bytes that are read of a request's body while it waits for its function.
pub const BODY_AHEAD_BYTES_MAX: usize = 64 << 10;

/// How long a warm instance waits for a call before it is given up.
pub const WARM_IDLE: Duration = Duration::from_secs(60);

/// Lines of log that are kept of an app.
pub const LOG_LINES_MAX: usize = 10_000;

/// Slots of a pool that instances live in. More would be more address space than two engines find.
pub const SLOTS_MAX: u32 = 12_000;

/// Slots beside those that the functions of an app may need at once.
pub const SLOTS_SPARE: u32 = 32;

/// New lines of log that wait for whoever follows it; whoever is slower misses some.
pub const LOG_LINES_WAITING_MAX: usize = 1_024;

/// Elements of a list for each of which a step calls its function.
pub const FAN_OUT_MAX: usize = 10_000;

/// Of these, so many are called at once.
pub const FAN_OUT_CALLS_MAX: usize = 32;

/// Bytes of the payload of a call from outside.
pub const CALL_BYTES_MAX: usize = 16 << 20;

/// Pieces of an export or import that wait to be sent or written.
pub const PIPE_PIECES_MAX: usize = 16;

/// Executions of chains that are kept to be looked at.
pub const EXECUTIONS_MAX: usize = 200;

/// Bytes of a file that are read at once.
pub const FILE_PIECE_BYTES: usize = 64 << 10;

/// How often a function's log says that the machine failed.
pub const FAULT_EVERY: Duration = Duration::from_secs(60);

/// Bytes of a request's body that a chain is given.
pub const CHAIN_BODY_BYTES_MAX: u64 = 8 << 20;

/// Connections to the console that are open at once.
pub const CONSOLE_CONNECTIONS_MAX: usize = 256;

/// Those who follow the log at once.
pub const CONSOLE_LIVE_MAX: usize = 32;

/// Seconds that the console's charts go back.
pub const SAMPLES_MAX: usize = 300;

/// Lines of log on a page of the console.
pub const CONSOLE_LINES_MAX: usize = 500;

/// Keys on a page of the console.
pub const CONSOLE_KEYS_MAX: usize = 50;

/// Bytes of a value that the console shows.
pub const CONSOLE_VALUE_BYTES_MAX: usize = 64 << 10;

/// Bytes of one message of a WebSocket.
pub const SOCKET_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Messages that wait for one client.
pub const SOCKET_QUEUE_MAX: usize = 256;

/// How long a WebSocket that this side closes may take: for the client to answer, and for a call that still runs.
pub const SOCKET_GOODBYE: Duration = Duration::from_secs(3);

/// After so much silence a WebSocket is asked whether it is still there.
pub const SOCKET_SILENCE: Duration = Duration::from_secs(30);

/// Bytes that a command may write as its answer.
pub const CGI_OUTPUT_BYTES_MAX: usize = 16 << 20;

/// Functions that are loaded at the same time, where some have processes of their own.
pub const STARTS_AT_ONCE_MAX: usize = 4;

/// How long the process of a sealed function may take until it can be asked: its program may have to be compiled.
pub const WORKER_START_MAX: Duration = Duration::from_secs(60);

/// Of that, the time of a processor that may be spent to make native code.
pub const WORKER_COMPILE_SECONDS_MAX: u32 = 10;

/// How long such a process has no call until it is frozen, where its function does not say.
pub const WORKER_IDLE: Duration = WARM_IDLE;

/// How long such a process may say nothing when it is asked whether it lives.
pub const WORKER_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Time between two starts of such a process, at the least; also what its end may take.
pub const WORKER_PAUSE: Duration = Duration::from_millis(200);

/// The same at the most, for those that stand by and what all are copies of: twice as long each time that one of them dies soon.
pub const WORKER_PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often a node looks for what others left behind that were killed, as long as there are processes in it.
pub const SWEEPS_MAX: usize = 5;

/// Starts of processes that are to stand by, one after the other.
pub const WORKER_SPARE_STARTS_MAX: usize = 64;

/// How long after a call such a process tells how many instances it has.
pub const WORKER_COUNT_PAUSE: Duration = Duration::from_millis(200);

/// Event loops of such a process at the most.
pub const WORKER_LANES_MAX: usize = 16;

/// Bytes of a message between such a process and its node: the largest result of SQL, and some.
pub const WORKER_MESSAGE_BYTES_MAX: usize = 80 << 20;

/// Bytes of the questions of such a process that wait for answers; each counts as its own bytes and
/// [`WORKER_QUESTION_BYTES`].
pub const WORKER_QUESTIONS_BYTES_MAX: usize = 160 << 20;

/// Requests that such a process makes at once.
pub const WORKER_QUESTIONS_MAX: u32 = 1_024;

/// Bytes of a body that crosses in a message.
pub const WORKER_SHORT_BYTES_MAX: usize = 64 << 10;

/// How long the rest of an answer is kept for the node to ask for it.
pub const WORKER_REST_WAIT: Duration = Duration::from_secs(10);

/// A message from such a process, or to it, comes soon after the last one if it comes within this time.
pub const WORKER_SOON: Duration = Duration::from_micros(200);

/// So long the next message is looked for, after one that came soon, before who waits for it sleeps.
pub const WORKER_AWAKE_MAX: Duration = Duration::from_micros(50);

/// Who asks such a process, or is it, and has not found the answer within [`WORKER_AWAKE_MAX`], does not look for that of the
/// next question, but is woken for it; nor for that of twice as many as last time, where it is so again, and so many at the
/// most. Where no answer comes soon, a processor spends no more than 3 µs a question in vain.
pub const WORKER_UNLOOKED_MAX: u32 = 16;

/// How often the next message is looked for before others have a turn: about a microsecond.
pub const WORKER_LOOKS: u32 = 20;

/// Words of memory, 64 KiB of it, through which messages go in one direction.
pub const WORKER_RING_WORDS: usize = 8 << 10;

/// Bytes of a record, a span or metrics that such a process tells of.
pub const WORKER_TOLD_BYTES_MAX: usize = 256 << 10;

/// Bytes that a question takes beside what it says.
pub const WORKER_QUESTION_BYTES: usize = 4 << 10;

/// Bytes of answers that such a process may leave where they are.
pub const WORKER_ANSWERS_BYTES_MAX: usize = 512 << 20;

/// Turns of tasks between two looks at what has come from outside, where functions give way without one, as those do that
/// are interrupted by fuel: each turn may be a time slice. Fewer would leave the tasks of a busy thread waiting for it.
pub const POLLS_BETWEEN_EVENTS: u32 = 32;

/// Bytes of a line that such a process says, and of its last words.
pub const WORKER_WORDS_BYTES_MAX: u64 = 16 << 10;

/// Spans that wait for the collector; more of them are dropped.
pub const SPANS_WAITING_MAX: usize = 8_192;

/// Exports of metrics that wait for the collector; more of them are dropped.
pub const METRICS_WAITING_MAX: usize = 1_024;

/// Spans, lines or exports of metrics in one message to the collector.
pub const EXPORT_BATCH_MAX: usize = 512;

/// How often spans, lines and the metrics of functions are sent to the collector.
pub const EXPORT_EVERY: Duration = Duration::from_secs(1);

/// How often the node's own metrics are sent to the collector.
pub const METRICS_EVERY: Duration = Duration::from_secs(10);

/// How long the collector may take for a message.
pub const COLLECTOR_WAIT: Duration = Duration::from_secs(5);

/// Bytes that the collector may answer with.
pub const COLLECTOR_ANSWER_BYTES_MAX: usize = 64 << 10;
