//! Every limit, on both profiles: what is over it ends with that limit by name, what is under it goes on.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use engine::wasmtime::component::{Component, Linker};
use engine::wasmtime::{Instance, Module, Store};
use engine::{Compiled, Engine, Error, Limit, Limits, Meter, Profile, Program, Settings};

const PROFILES: [Profile; 2] = [Profile::Dense, Profile::Portable];
const MIB: usize = 1 << 20;

/// Far longer than anything here takes: past it a limit has failed, and the test must not hang.
const SAFETY: Duration = Duration::from_secs(120);

fn engine(profile: Profile, limits: Limits) -> Engine {
    Engine::new(Settings { limits, ..Settings::new(profile) }).unwrap()
}

fn with_memory(profile: Profile, memory_bytes_max: usize) -> Engine {
    engine(profile, Limits { memory_bytes_max, ..Limits::default() })
}

fn module(engine: &Engine, text: &str) -> Module {
    match engine.load(text.as_bytes(), None).map(Program::into_compiled) {
        Ok(Compiled::Module(module)) => module,
        Ok(Compiled::Component(_)) => panic!("a component"),
        Err(error) => panic!("{error:?}"),
    }
}

fn store(engine: &Engine) -> Store<Meter> {
    engine.store(Meter::new(&engine.settings().limits))
}

/// Instantiates `text` and calls its export `run`; the limit that ended it, or what `run` returned.
fn run(engine: &Engine, text: &str) -> Result<i32, Limit> {
    run_in(engine, &mut store(engine), text)
}

fn run_in(engine: &Engine, store: &mut Store<Meter>, text: &str) -> Result<i32, Limit> {
    let module = module(engine, text);
    let ended = Instance::new(&mut *store, &module, &[]).and_then(|instance| {
        let run = instance.get_typed_func::<(), i32>(&mut *store, "run")?;
        run.call(&mut *store, ())
    });
    ended.map_err(|error| engine.limit_in(&error).unwrap_or_else(|| panic!("no limit: {error:?}")))
}

fn asked(limit: Result<i32, Limit>) -> usize {
    match limit {
        Err(Limit::Memory { asked, .. }) => asked,
        other => panic!("expected the memory limit, got {other:?}"),
    }
}

fn memories(count: usize, pages: usize) -> String {
    format!(
        "(module {} (func (export \"run\") (result i32) i32.const 7))",
        format!("(memory {pages})").repeat(count)
    )
}

#[test]
fn memories_count_together() {
    for profile in PROFILES {
        let engine = with_memory(profile, 10 * MIB);
        assert_eq!(run(&engine, &memories(10, 16)), Ok(7), "{profile}: exactly the limit");
        assert_eq!(asked(run(&engine, &memories(10, 17))), (10 * 17) << 16, "{profile}");
        assert_eq!(asked(run(&engine, &memories(1, 161))), 161 << 16, "{profile}");
        // Nobody's memory is counted against another's.
        assert_eq!(run(&engine, &memories(10, 16)), Ok(7), "{profile}: a second store");
    }
}

#[test]
fn growth_past_the_limit_ends_the_program_whichever_memory_grows() {
    let text = r#"(module (memory 1) (memory 1) (func (export "run") (result i32)
        (loop $more (drop (memory.grow 0 (i32.const 1))) (drop (memory.grow 1 (i32.const 1))) (br $more)) i32.const 0))"#;
    for profile in PROFILES {
        assert_eq!(asked(run(&with_memory(profile, 10 * MIB), text)), 10 * MIB + (1 << 16), "{profile}");
    }
}

#[test]
fn growth_past_the_programs_own_maximum_is_minus_one() {
    let text = r#"(module (memory 1 3) (table 1 3 funcref) (func (export "run") (result i32)
        (i32.add
            (i32.mul (memory.grow (i32.const 3)) (i32.const 1000))
            (i32.add
                (i32.mul (table.grow (ref.null func) (i32.const 3)) (i32.const 100))
                (i32.add (memory.grow (i32.const 2)) (memory.size))))))"#;
    for profile in PROFILES {
        assert_eq!(run(&with_memory(profile, MIB), text), Ok(-1_000 - 100 + 1 + 3), "{profile}");
    }
}

/// Memory beyond what 32 bits can index is refused as the specification says, not as a limit.
#[test]
fn growth_past_the_index_space_is_minus_one() {
    let text = r#"(module (memory 1) (func (export "run") (result i32) (memory.grow (i32.const 65536))))"#;
    for profile in PROFILES {
        assert_eq!(run(&with_memory(profile, 16 << 30), text), Ok(-1), "{profile}");
    }
}

#[test]
fn tables_count_as_memory() {
    let tables = |count, elements| {
        let table = format!("(table {elements} funcref)").repeat(count);
        format!("(module {table} (func (export \"run\") (result i32) i32.const 7))")
    };
    let grow = r#"(module (table 0 externref) (func (export "run") (result i32)
        (loop $more (drop (table.grow (ref.null extern) (i32.const 1000))) (br $more)) i32.const 0))"#;
    for profile in PROFILES {
        let engine = with_memory(profile, MIB);
        assert_eq!(run(&engine, &tables(8, 16_000)), Ok(7), "{profile}");
        assert_eq!(asked(run(&engine, &tables(9, 16_000))), 9 * 16_000 * 8, "{profile}");
        assert_eq!(asked(run(&engine, grow)), 132 * 1_000 * 8, "{profile}");
    }
}

#[test]
fn garbage_collected_heaps_count_as_memory() {
    let list = |keep: &str| {
        format!(
            r#"(module (type $node (struct (field (ref null $node)) (field i64)))
            (global $head (mut (ref null $node)) (ref.null $node))
            (func (export "run") (result i32) (local $count i32)
                (loop $more
                    ({keep} (struct.new $node (global.get $head) (i64.const 1)))
                    (br_if $more (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 2000000))))
                local.get $count))"#
        )
    };
    for profile in PROFILES {
        let engine = with_memory(profile, 8 * MIB);
        assert_eq!(run(&engine, &list("global.set $head")), Err(Limit::Heap(8 * MIB)), "{profile}");
        assert_eq!(run(&engine, &list("drop")), Ok(2_000_000), "{profile}: garbage is collected");
    }
}

const SIEVE: &str = r#"(module (memory 1) (func (export "run") (result i32) (local $i i32) (local $sum i32)
    (loop $more
        (i32.store8 (local.get $i) (i32.popcnt (local.get $i)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.shr_u (local.get $i) (i32.const 1)))))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
    local.get $sum))"#;

#[test]
fn fuel_is_the_same_number_every_time_and_on_every_profile() {
    let mut used = Vec::new();
    for profile in PROFILES {
        let fuel = |fuel_max| engine(profile, Limits { fuel_max: Some(fuel_max), ..Limits::default() });
        let engine = fuel(1_000_000);
        for _ in 0..2 {
            let mut store = store(&engine);
            assert!(run_in(&engine, &mut store, SIEVE).is_ok());
            used.push(1_000_000 - store.get_fuel().unwrap());
        }
        // Fuel is compared at every call and loop: the last round of the loop may still end, the one before may not.
        assert!(run(&fuel(used[0]), SIEVE).is_ok(), "{profile}");
        assert_eq!(run(&fuel(used[0] - 40), SIEVE), Err(Limit::Fuel(used[0] - 40)), "{profile}");
    }
    println!("fuel used: {used:?}");
    assert!(used[0] > 10_000 && used.iter().all(|count| *count == used[0]), "{used:?}");
}

/// What `work` returns, if it does so before something is clearly wrong.
fn safely<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(SAFETY).expect("a program that runs past its limit, or a panic")
}

#[test]
fn time_ends_a_loop() {
    let text = "(module (func (export \"run\") (result i32) (loop $more (br $more)) i32.const 0))";
    for profile in PROFILES {
        let time_max = Duration::from_millis(50);
        let ended = safely(move || {
            let mut settings = Settings::new(profile);
            settings.set("interrupt=epoch").unwrap();
            settings.limits.time_max = Some(time_max);
            run(&Engine::new(settings).unwrap(), text)
        });
        assert_eq!(ended, Err(Limit::Time(time_max)), "{profile}");
    }
}

#[test]
fn without_a_time_limit_the_clock_stops_nothing() {
    let mut settings = Settings::new(Profile::Dense);
    settings.set("interrupt=epoch").unwrap();
    assert!(run(&Engine::new(settings).unwrap(), SIEVE).is_ok());
}

#[test]
fn recursion_ends_at_the_stack_limit() {
    let text = r#"(module (func $deep (param i32) (result i32)
            (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
        (func (export "run") (result i32) (call $deep (i32.const 0))))"#;
    for profile in PROFILES {
        for stack_bytes_max in [64 << 10, MIB, 4 * MIB] {
            let engine = engine(profile, Limits { stack_bytes_max, ..Limits::default() });
            let recurse = || {
                // Once more in the same engine: the first time left nothing behind.
                for _ in 0..2 {
                    assert_eq!(run(&engine, text), Err(Limit::Stack(stack_bytes_max)), "{profile}");
                }
            };
            std::thread::scope(|scope| {
                let roomy = std::thread::Builder::new().stack_size(stack_bytes_max + 2 * MIB);
                roomy.spawn_scoped(scope, recurse).unwrap().join().unwrap();
            });
        }
    }
}

/// A component with `count` instances of a module with these `items`, in two parts: one may not have over a thousand.
fn instances(count: usize, items: &str) -> String {
    let part = |name: &str, count: usize| {
        let instances = "(core instance (instantiate $m))".repeat(count);
        format!("(component {name} (core module $m {items}) {instances}) (instance (instantiate {name}))")
    };
    format!("(component {} {})", part("$one", count / 2), part("$two", count - count / 2))
}

fn instantiate(engine: &Engine, text: &str) -> Result<(), Limit> {
    let Ok(Compiled::Component(component)) = engine.load(text.as_bytes(), None).map(Program::into_compiled)
    else {
        panic!("no component")
    };
    instantiate_component(engine, &component)
}

fn instantiate_component(engine: &Engine, component: &Component) -> Result<(), Limit> {
    match Linker::new(engine.wasmtime()).instantiate(store(engine), component) {
        Ok(_) => Ok(()),
        Err(error) => Err(engine.limit_in(&error).unwrap_or_else(|| panic!("no limit: {error:?}"))),
    }
}

#[test]
fn instances_memories_and_tables_are_counted() {
    for (profile, pool) in
        [(Profile::Dense, "pool=off"), (Profile::Dense, "pool=2000"), (Profile::Portable, "pool=off")]
    {
        let mut settings = Settings::new(profile);
        settings.set(pool).unwrap();
        let engine = Engine::new(settings).unwrap();
        for (count, items) in
            [(1_000, String::new()), (10, "(table 0 funcref)".repeat(100)), (10, "(memory 0)".repeat(100))]
        {
            assert_eq!(instantiate(&engine, &instances(count, &items)), Ok(()), "{profile} {pool} {count}");
            let over = instantiate(&engine, &instances(count + 1, &items));
            assert_eq!(over, Err(Limit::Instances), "{profile} {pool} {count}");
        }
    }
}

/// A pool that nobody asked for must not be the reason why a program does not run.
#[test]
fn a_program_with_more_parts_than_the_pool_has_slots() {
    let engine = with_memory(Profile::Dense, 64 * MIB);
    assert_eq!(run(&engine, &memories(60, 1)), Ok(7));
    for (what, text) in [
        ("100 memories", memories(100, 1)),
        ("a table of 20 million", "(module (table 20000000 funcref))".to_owned()),
    ] {
        let refused = engine.load(text.as_bytes(), None).map(|_| ());
        assert!(matches!(refused, Err(Error::Unfit(_))), "{what}: {refused:?}");
        let mut settings = engine.settings().clone();
        settings.set("pool=off").unwrap();
        assert!(Engine::new(settings).unwrap().load(text.as_bytes(), None).is_ok(), "{what}");
    }
}

/// Started by itself with 8 GiB of address space, which holds two slots of the pool at most.
#[test]
fn without_the_address_space_there_is_no_pool() {
    const CHILD: &str = "SAMPAN_LIMITS_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let engine = Engine::new(Settings::new(Profile::Dense)).unwrap();
        assert!(engine.pool_refused().is_some());
        assert!(run(&engine, SIEVE).is_ok());
        // Only what nobody asked for is done without.
        let mut settings = Settings::new(Profile::Dense);
        settings.set("pool=64").unwrap();
        assert!(matches!(Engine::new(settings), Err(Error::Setup(_))));
        return;
    }
    assert!(Engine::new(Settings::new(Profile::Dense)).unwrap().pool_refused().is_none());
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -v 8388608 && exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "without_the_address_space_there_is_no_pool", "--quiet"]).env(CHILD, "1");
    assert!(child.status().unwrap().success());
}
