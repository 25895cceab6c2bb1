//! Modules of loops that walk through memory: what native code makes copies of. Their addresses are sums that move by
//! constants, near the ends of memory and of what 32 bits can say, and sometimes by more than that.

use super::random::Random;

/// More steps than this no loop makes.
const STEPS_MAX: usize = 300;
const FUNCTIONS: usize = 4;

/// Where walks begin: the ends of a page, of two, of all addresses, and somewhere.
const PLACES: [i64; 9] = [0, 16, 4_000, 65_536 - 64, 65_536 - 8, 65_536, 131_072 - 256, -16, -4_096];
const STEPS: [i64; 12] = [1, 2, 4, 8, 16, -1, -4, -8, -16, 24, 4_096, 1 << 31];
const LOADS: [&str; 5] = ["i32.load", "i32.load8_u", "i32.load16_s", "i32.load8_s", "i32.load"];
const STORES: [&str; 4] = ["i32.store", "i32.store8", "i32.store16", "i32.store"];
/// What loops walk by.
const WALKERS: [&str; 3] = ["$p", "$q", "$i"];

/// A module that a seed decides.
pub(crate) fn module(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let functions: Vec<String> = (0..FUNCTIONS).map(|index| function(&mut random, index)).collect();
    let bytes: String = random.bytes(200).iter().map(|byte| format!("\\{byte:02x}")).collect();
    let maximum = 1 + random.below(2);
    let text = format!(
        "(module (memory (export \"memory\") {maximum} 3) (global $g (export \"g\") (mut i32) (i32.const 0))
         (data (i32.const 4000) \"{bytes}\") (data (i32.const 65336) \"{bytes}\") {})",
        functions.concat()
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len())]
}

fn function(random: &mut Random, index: usize) -> String {
    let (p, q) = (pick(random, &PLACES), pick(random, &PLACES));
    let trips = 1 + random.below(40) as i64;
    let step = pick(random, &STEPS[..10]);
    let count = format!("(local.set $n (i32.const {}))", trips * step);
    let body: String = (0..1 + random.below(6)).map(|_| statement(random, 0)).collect();
    let (turn, is_counted) = turn(random, step, trips);
    let fuel = if is_counted && !body.contains("$again") { "" } else { FUEL };
    let after = if random.below(4) == 0 { statement(random, 1) } else { String::new() };
    let mut walk = format!("(loop $again {fuel} {body} {turn} {after})");
    if random.below(3) == 0 {
        // So that the loop is entered more than once.
        let between = statement(random, 1);
        walk = format!(
            "(loop $outer {count} (local.set $i (i32.const 0)) {between} {walk}
               (br_if $outer (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))"
        );
    }
    format!(
        "(func (export \"f{index}\") (param $x i32) (param $y i32) (result i32)
           (local $p i32) (local $q i32) (local $i i32) (local $n i32) (local $m i32)
           (local $t i32) (local $sum i32) (local $fuel i32)
           (local.set $p (i32.add (i32.const {p}) (i32.and (local.get $x) (i32.const 63))))
           (local.set $q (i32.add (i32.const {q}) (i32.and (local.get $y) (i32.const 7))))
           {count} (local.set $m (i32.const 3)) (local.set $fuel (i32.const {STEPS_MAX}))
           (block $out {walk})
           (i32.store (i32.const 128) (local.get $sum))
           (i32.add (i32.add (local.get $sum) (local.get $p)) (i32.add (local.get $q) (local.get $i))))\n"
    )
}

/// No loop is endless.
const FUEL: &str = "(br_if $out (i32.eqz (local.tee $fuel (i32.sub (local.get $fuel) (i32.const 1)))))";

/// How a loop begins another turn, or does not; and whether it surely ends.
fn turn(random: &mut Random, step: i64, trips: i64) -> (String, bool) {
    let moved = format!("(local.tee $i (i32.add (local.get $i) (i32.const {step})))");
    let (limit, from_p) = (trips * step, "(i32.add (local.get $p)");
    let turn = match random.below(8) {
        0..3 => {
            let n = format!("(local.tee $n (i32.sub (local.get $n) (i32.const {step})))");
            return (format!("(br_if $again {n})"), true);
        }
        3 => format!("(br_if $again (i32.ne {moved} (i32.const {limit})))"),
        4 => format!("(br_if $again (i32.lt_u {moved} (i32.const {})))", limit.abs()),
        5 => format!("(br_if $again (i32.ne {from_p} {moved}) {from_p} (i32.const {limit}))))"),
        6 => format!("(br_if $out (i32.eq {moved} (i32.const {limit}))) (br $again)"),
        // What it counts by moves once more behind the last turn.
        _ => format!(
            "(drop {moved}) (br_if $again (i32.ne (local.get $i) (i32.const {limit})))
             (local.set $i (i32.add (local.get $i) (i32.const 3)))"
        ),
    };
    (turn, false)
}

fn statement(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 16 } else { 12 }) {
        0..4 => format!("(local.set $sum (i32.xor (local.get $sum) {}))", load(random)),
        4..7 => {
            let (store, value) = (pick(random, &STORES), pick(random, &["$sum", "$i", "$t", "$p"]));
            let (offset, index) = (offset(random), index(random));
            format!("({store} offset={offset} {index} (i32.add (local.get $sum) (local.get {value})))")
        }
        7..10 => {
            let (local, step) = (pick(random, &WALKERS), pick(random, &STEPS));
            format!("(local.set {local} (i32.add (local.get {local}) (i32.const {step})))")
        }
        10 => format!("(local.set $t {})", index(random)),
        11 => format!(
            "(br_if $out (i32.eq (i32.and (local.get $sum) (i32.const 255)) (i32.const {})))",
            random.below(256)
        ),
        12 => format!("(global.set $g (i32.add (global.get $g) {}))", load(random)),
        13 => format!("(br_if $again (i32.and (local.get $sum) (i32.const {})))", 1 << random.below(8)),
        _ => {
            let (bit, then, other) =
                (random.below(4), statement(random, depth + 1), statement(random, depth + 1));
            format!("(if (i32.and (local.get $sum) (i32.const {})) (then {then}) (else {other}))", 1 << bit)
        }
    }
}

fn load(random: &mut Random) -> String {
    let load = pick(random, &LOADS);
    let (offset, index) = (offset(random), index(random));
    match random.below(4) {
        // The value of a walker from before it was moved.
        0 => format!(
            "(i32.add (local.get $p) ({load} offset={offset} (local.tee $p (i32.add (local.get $p) (i32.const 4)))))"
        ),
        _ => format!("({load} offset={offset} {index})"),
    }
}

fn offset(random: &mut Random) -> u32 {
    pick(random, &[0, 0, 0, 4, 8, 16, 1_000, 65_528, u32::MAX - 15])
}

/// A sum of walkers and constants.
fn index(random: &mut Random) -> String {
    let local = format!("(local.get {})", pick(random, &["$p", "$q", "$p", "$q", "$i", "$t"]));
    let constant = pick(random, &[0, 4, 8, -4, -8, 256, 4_000, -65_536, 65_536]);
    let other = pick(random, &["$i", "$n", "$q", "$x", "$t"]);
    match random.below(6) {
        0 => local,
        1 => format!("(i32.add {local} (i32.const {constant}))"),
        2 => format!("(i32.add (i32.add {local} (local.get {other})) (i32.const {constant}))"),
        3 => format!("(i32.add {local} (i32.shl (local.get {other}) (i32.const {})))", random.below(4)),
        4 => format!("(i32.sub {local} (i32.mul (local.get {other}) (i32.const {})))", random.below(5)),
        _ => format!("(i32.add {local} (local.get {other}))"),
    }
}
