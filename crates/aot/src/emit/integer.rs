//! Numbers without a point.

use super::{Emitter, Value};
use crate::module::Type;
use Type::{I32, I64};
use rt::Trap;
use wasmparser::Operator;

impl Emitter<'_, '_> {
    pub(super) fn integer(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I32Eqz | O::I64Eqz => {
                let value = self.pop().typed();
                let bit = self.bit(format_args!("icmp eq {value}, 0"));
                self.push_bit(&bit);
            }
            O::I32Eq | O::I64Eq => self.compare("icmp eq"),
            O::I32Ne | O::I64Ne => self.compare("icmp ne"),
            O::I32LtS | O::I64LtS => self.compare("icmp slt"),
            O::I32LtU | O::I64LtU => self.compare("icmp ult"),
            O::I32GtS | O::I64GtS => self.compare("icmp sgt"),
            O::I32GtU | O::I64GtU => self.compare("icmp ugt"),
            O::I32LeS | O::I64LeS => self.compare("icmp sle"),
            O::I32LeU | O::I64LeU => self.compare("icmp ule"),
            O::I32GeS | O::I64GeS => self.compare("icmp sge"),
            O::I32GeU | O::I64GeU => self.compare("icmp uge"),
            O::I32Add | O::I64Add => self.binary("add"),
            O::I32Sub | O::I64Sub => self.binary("sub"),
            O::I32Mul | O::I64Mul => self.binary("mul"),
            O::I32And | O::I64And => self.binary("and"),
            O::I32Or | O::I64Or => self.binary("or"),
            O::I32Xor | O::I64Xor => self.binary("xor"),
            O::I32Shl | O::I64Shl => self.shift("shl"),
            O::I32ShrS | O::I64ShrS => self.shift("ashr"),
            O::I32ShrU | O::I64ShrU => self.shift("lshr"),
            O::I32Rotl | O::I64Rotl => self.rotate("fshl"),
            O::I32Rotr | O::I64Rotr => self.rotate("fshr"),
            O::I32DivS | O::I64DivS => self.divide_signed(),
            O::I32DivU | O::I64DivU => self.divide("udiv"),
            O::I32RemS | O::I64RemS => self.remainder_signed(),
            O::I32RemU | O::I64RemU => self.divide("urem"),
            O::I32Clz | O::I64Clz => self.count("ctlz", ", i1 false"),
            O::I32Ctz | O::I64Ctz => self.count("cttz", ", i1 false"),
            O::I32Popcnt | O::I64Popcnt => self.count("ctpop", ""),
            O::I32WrapI64 => self.convert("trunc", I32),
            O::I64ExtendI32S => self.convert("sext", I64),
            O::I64ExtendI32U => self.convert("zext", I64),
            O::I32Extend8S => self.extend("i8", I32),
            O::I32Extend16S => self.extend("i16", I32),
            O::I64Extend8S => self.extend("i8", I64),
            O::I64Extend16S => self.extend("i16", I64),
            O::I64Extend32S => self.extend("i32", I64),
            _ => return false,
        }
        true
    }

    pub(super) fn binary(&mut self, instruction: &str) {
        let (b, a) = (self.pop(), self.pop());
        let value = self.value(a.ty, format_args!("{instruction} {}, {b}", a.typed()));
        self.note_binary(instruction, &a, &b, &value);
        self.push(value);
    }

    pub(super) fn compare(&mut self, instruction: &str) {
        let (b, a) = (self.pop(), self.pop());
        let bit = self.bit(format_args!("{instruction} {}, {b}", a.typed()));
        self.push_bit(&bit);
        if let ("icmp ne", Some(value)) = (instruction, self.stack.last().cloned()) {
            self.note_unequal(&a, &b, &value);
        }
    }

    pub(super) fn convert(&mut self, instruction: &str, to: Type) {
        let from = self.pop().typed();
        let value = self.value(to, format_args!("{instruction} {from} to {}", to.ir()));
        self.push(value);
    }

    fn extend(&mut self, narrow: &str, ty: Type) {
        let value = self.pop().typed();
        let value = self.bit(format_args!("trunc {value} to {narrow}"));
        let value = self.value(ty, format_args!("sext {narrow} {value} to {}", ty.ir()));
        self.push(value);
    }

    /// A shift by more than there are bits is undefined for LLVM; for WebAssembly it wraps.
    fn shift(&mut self, instruction: &str) {
        let (by, a) = (self.pop(), self.pop());
        let within = self.value(by.ty, format_args!("and {}, {}", by.typed(), bits(a.ty) - 1));
        let value = self.value(a.ty, format_args!("{instruction} {}, {within}", a.typed()));
        self.note_binary(instruction, &a, &by, &value);
        self.push(value);
    }

    fn rotate(&mut self, intrinsic: &str) {
        let (by, a) = (self.pop().typed(), self.pop());
        let (ty, a) = (a.ty, a.typed());
        let ir = ty.ir();
        let value = self.value(ty, format_args!("call {ir} @llvm.{intrinsic}.{ir}({a}, {a}, {by})"));
        self.push(value);
    }

    fn count(&mut self, intrinsic: &str, more: &str) {
        let a = self.pop();
        let (ty, a) = (a.ty, a.typed());
        let ir = ty.ir();
        let value = self.value(ty, format_args!("call {ir} @llvm.{intrinsic}.{ir}({a}{more})"));
        self.push(value);
    }

    /// The operands of a division, the second of which is not 0.
    fn dividend_and_divisor(&mut self) -> (Value, Value) {
        let (b, a) = (self.pop(), self.pop());
        let is_zero = self.bit(format_args!("icmp eq {}, 0", b.typed()));
        self.trap_if(&is_zero, Trap::DivideByZero);
        (a, b)
    }

    fn divide(&mut self, instruction: &str) {
        let (a, b) = self.dividend_and_divisor();
        let value = self.value(a.ty, format_args!("{instruction} {}, {b}", a.typed()));
        self.push(value);
    }

    fn divide_signed(&mut self) {
        let (a, b) = self.dividend_and_divisor();
        let least = self.bit(format_args!("icmp eq {}, {}", a.typed(), least(a.ty)));
        let minus_one = self.bit(format_args!("icmp eq {}, -1", b.typed()));
        let overflows = self.bit(format_args!("and i1 {least}, {minus_one}"));
        self.trap_if(&overflows, Trap::IntegerOverflow);
        let value = self.value(a.ty, format_args!("sdiv {}, {b}", a.typed()));
        self.push(value);
    }

    /// What is divided by -1 leaves nothing; but LLVM must not divide the least number by it.
    fn remainder_signed(&mut self) {
        let (a, b) = self.dividend_and_divisor();
        let minus_one = self.bit(format_args!("icmp eq {}, -1", b.typed()));
        let ty = a.ty.ir();
        let b = self.value(b.ty, format_args!("select i1 {minus_one}, {ty} 1, {ty} {b}"));
        let value = self.value(a.ty, format_args!("srem {}, {b}", a.typed()));
        self.push(value);
    }
}

const fn bits(ty: Type) -> u32 {
    if matches!(ty, I64) { 64 } else { 32 }
}

const fn least(ty: Type) -> i64 {
    if matches!(ty, I64) { i64::MIN } else { i32::MIN as i64 }
}
