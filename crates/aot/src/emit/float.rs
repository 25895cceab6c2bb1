//! Numbers with a point. No flag allows LLVM to be quick about them.

use super::{Emitter, Value, values};
use crate::module::Type;
use Type::{F32, F64, I32, I64};
use rt::Trap;
use wasmparser::Operator;

impl Emitter<'_, '_> {
    pub(super) fn float(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::F32Eq | O::F64Eq => self.compare("fcmp oeq"),
            O::F32Ne | O::F64Ne => self.compare("fcmp une"),
            O::F32Lt | O::F64Lt => self.compare("fcmp olt"),
            O::F32Gt | O::F64Gt => self.compare("fcmp ogt"),
            O::F32Le | O::F64Le => self.compare("fcmp ole"),
            O::F32Ge | O::F64Ge => self.compare("fcmp oge"),
            O::F32Abs | O::F64Abs => self.unary("fabs"),
            O::F32Ceil | O::F64Ceil => self.round("ceil"),
            O::F32Floor | O::F64Floor => self.round("floor"),
            O::F32Trunc | O::F64Trunc => self.round("trunc"),
            O::F32Nearest | O::F64Nearest => self.round(self.nearest()),
            O::F32Sqrt | O::F64Sqrt => self.unary("sqrt"),
            O::F32Neg | O::F64Neg => {
                let a = self.pop();
                let value = self.value(a.ty, format_args!("fneg {}", a.typed()));
                self.push(value);
            }
            O::F32Add | O::F64Add => self.arithmetic("fadd"),
            O::F32Sub | O::F64Sub => self.arithmetic("fsub"),
            O::F32Mul | O::F64Mul => self.arithmetic("fmul"),
            O::F32Div | O::F64Div => self.arithmetic("fdiv"),
            O::F32Min | O::F64Min => self.extreme("minimum"),
            O::F32Max | O::F64Max => self.extreme("maximum"),
            O::F32Copysign | O::F64Copysign => self.copy_sign(),
            O::I32TruncF32S | O::I32TruncF64S => self.truncate("fptosi", I32),
            O::I32TruncF32U | O::I32TruncF64U => self.truncate("fptoui", I32),
            O::I64TruncF32S | O::I64TruncF64S => self.truncate("fptosi", I64),
            O::I64TruncF32U | O::I64TruncF64U => self.truncate("fptoui", I64),
            O::I32TruncSatF32S | O::I32TruncSatF64S => self.saturate("fptosi", I32),
            O::I32TruncSatF32U | O::I32TruncSatF64U => self.saturate("fptoui", I32),
            O::I64TruncSatF32S | O::I64TruncSatF64S => self.saturate("fptosi", I64),
            O::I64TruncSatF32U | O::I64TruncSatF64U => self.saturate("fptoui", I64),
            O::F32ConvertI32S | O::F32ConvertI64S => self.convert("sitofp", F32),
            O::F32ConvertI32U | O::F32ConvertI64U => self.convert("uitofp", F32),
            O::F64ConvertI32S | O::F64ConvertI64S => self.convert("sitofp", F64),
            O::F64ConvertI32U | O::F64ConvertI64U => self.convert("uitofp", F64),
            O::F32DemoteF64 => self.demote(),
            O::F64PromoteF32 => {
                self.convert("fpext", F64);
                self.promoted = self.stack.last().cloned();
            }
            O::I32ReinterpretF32 => self.convert("bitcast", I32),
            O::I64ReinterpretF64 => self.convert("bitcast", I64),
            O::F32ReinterpretI32 => self.convert("bitcast", F32),
            O::F64ReinterpretI64 => self.convert("bitcast", F64),
            _ => return false,
        }
        true
    }

    fn unary(&mut self, intrinsic: &str) {
        let a = self.pop();
        let ir = a.ty.ir();
        let value =
            self.value(a.ty, format_args!("call {ir} @llvm.{intrinsic}.{}({})", suffix(a.ty), a.typed()));
        self.push(value);
    }

    fn round(&mut self, intrinsic: &str) {
        let a = self.pop();
        let value = self.rounded(a.ty.ir(), suffix(a.ty), "i1", intrinsic, &a);
        self.push(Value::new(a.ty, value.text()));
    }

    /// A whole number. Without an instruction for it, LLVM may leave a signalling NaN as it is; a sum makes it a quiet one.
    pub(super) fn rounded(
        &mut self,
        ir: &str,
        suffix: &str,
        bits: &str,
        intrinsic: &str,
        a: &Value,
    ) -> Value {
        let whole = self.vector(format_args!("call {ir} @llvm.{intrinsic}.{suffix}({ir} {a})"));
        if self.options.target.has_float_units {
            return whole;
        }
        let is_nan = self.bit(format_args!("fcmp uno {ir} {a}, {a}"));
        let nan = self.bit(format_args!("fadd {ir} {a}, {a}"));
        self.vector(format_args!("select {bits} {is_nan}, {ir} {nan}, {ir} {whole}"))
    }

    fn copy_sign(&mut self) {
        let (b, a) = (self.pop().typed(), self.pop());
        let (ty, a) = (a.ty, a.typed());
        let ir = ty.ir();
        let value = self.value(ty, format_args!("call {ir} @llvm.copysign.{}({a}, {b})", suffix(ty)));
        self.push(value);
    }

    fn extreme(&mut self, intrinsic: &str) {
        let (b, a) = (self.pop(), self.pop());
        let value = self.extreme_of(a.ty.ir(), suffix(a.ty), "i1", intrinsic, (&a, &b));
        self.push(Value::new(a.ty, value.text()));
    }

    /// The smaller or larger one. LLVM would give a signalling NaN as it is; a sum makes it a quiet one.
    pub(super) fn extreme_of(
        &mut self,
        ir: &str,
        suffix: &str,
        bits: &str,
        intrinsic: &str,
        (a, b): (&Value, &Value),
    ) -> Value {
        let is_nan = self.bit(format_args!("fcmp uno {ir} {a}, {b}"));
        let nan = self.bit(format_args!("fadd {ir} {a}, {b}"));
        let number = match self.options.target.has_float_units {
            true => {
                let call = format!("call nnan {ir} @llvm.{intrinsic}.{suffix}({ir} {a}, {ir} {b})");
                self.bit(format_args!("{call}"))
            }
            false => self.extreme_number(ir, intrinsic, (a, b)),
        };
        self.vector(format_args!("select {bits} {is_nan}, {ir} {nan}, {ir} {number}"))
    }

    /// The smaller or larger one of two that are numbers, of which -0 is smaller than 0, without an instruction for it.
    fn extreme_number(&mut self, ir: &str, intrinsic: &str, (a, b): (&Value, &Value)) -> Value {
        let int = ir.replace("float", "i32").replace("double", "i64");
        let bit = ir.replace("float", "i1").replace("double", "i1");
        let is_less = self.bit(format_args!("fcmp olt {ir} {a}, {b}"));
        let is_equal = self.bit(format_args!("fcmp oeq {ir} {a}, {b}"));
        let bits = self.bit(format_args!("bitcast {ir} {a} to {int}"));
        let has_sign = self.bit(format_args!("icmp slt {int} {bits}, zeroinitializer"));
        let is_below = self.bit(format_args!("and {bit} {is_equal}, {has_sign}"));
        let is_smaller = self.bit(format_args!("or {bit} {is_less}, {is_below}"));
        let (yes, no) = if intrinsic == "minimum" { (a, b) } else { (b, a) };
        self.bit(format_args!("select {bit} {is_smaller}, {ir} {yes}, {ir} {no}"))
    }

    /// What rounds to the nearest whole number: the one that the C library of the target, if it needs one, has.
    pub(super) const fn nearest(&self) -> &'static str {
        if self.options.target.has_float_units { "nearbyint" } else { "rint" }
    }

    /// LLVM takes `x * 1` and `x - 0` for `x` even if `x` is a signalling NaN, which must become a quiet one.
    fn arithmetic(&mut self, instruction: &str) {
        let (b, a) = (self.pop(), self.pop());
        let (a, b) = match (is_neutral(&a), is_neutral(&b)) {
            (false, true) => (self.quiet(a), b),
            (true, false) => (a, self.quiet(b)),
            _ => (a, b),
        };
        let value = self.value(a.ty, format_args!("{instruction} {}, {b}", a.typed()));
        self.push(value);
    }

    /// Of a number that was just promoted LLVM would undo both, and leave a signalling NaN as it was.
    fn demote(&mut self) {
        let a = self.pop();
        let was_promoted = self.promoted.as_ref().is_some_and(|promoted| promoted.text() == a.text());
        let a = if was_promoted { self.quiet(a) } else { a };
        self.push(a);
        self.convert("fptrunc", F32);
    }

    /// A NaN with the bit that makes it quiet; everything else as it is. (`llvm.canonicalize` is not in all versions.)
    fn quiet(&mut self, a: Value) -> Value {
        let (ir, int, bit) = match a.ty {
            F32 => ("float", I32, 0x0040_0000),
            _ => ("double", I64, 0x0008_0000_0000_0000_i64),
        };
        let is_nan = self.bit(format_args!("fcmp uno {ir} {a}, {a}"));
        let bits = self.value(int, format_args!("bitcast {ir} {a} to {}", int.ir()));
        let bits = self.value(int, format_args!("or {}, {bit}", bits.typed()));
        let nan = self.value(a.ty, format_args!("bitcast {} to {ir}", bits.typed()));
        self.value(a.ty, format_args!("select i1 {is_nan}, {ir} {nan}, {ir} {a}"))
    }

    fn truncate(&mut self, instruction: &str, to: Type) {
        let a = self.pop();
        let (from, is_signed) = (a.ty, instruction == "fptosi");
        let typed = a.typed();
        let is_nan = self.bit(format_args!("fcmp uno {typed}, {a}"));
        self.trap_if(&is_nan, Trap::InvalidConversion);
        let (below, above) = limits(from, to, is_signed);
        let low = self.bit(format_args!("fcmp ole {typed}, {below}"));
        let high = self.bit(format_args!("fcmp oge {typed}, {above}"));
        let outside = self.bit(format_args!("or i1 {low}, {high}"));
        self.trap_if(&outside, Trap::IntegerOverflow);
        let value = self.value(to, format_args!("{instruction} {typed} to {}", to.ir()));
        self.push(value);
    }

    fn saturate(&mut self, instruction: &str, to: Type) {
        let a = self.pop();
        let (ir, from) = (to.ir(), suffix(a.ty));
        let value =
            self.value(to, format_args!("call {ir} @llvm.{instruction}.sat.{ir}.{from}({})", a.typed()));
        self.push(value);
    }
}

/// Whether it is one of the constants with which an operation may do nothing: 0, 1, -0, -1.
fn is_neutral(value: &Value) -> bool {
    [0.0, 1.0, -0.0, -1.0].iter().any(|neutral| value.text() == values::double(*neutral))
}

/// How the names of intrinsics end.
fn suffix(ty: Type) -> &'static str {
    if ty == F32 { "f32" } else { "f64" }
}

/// The largest number that is too small to become an integer, and the smallest that is too large.
fn limits(from: Type, to: Type, is_signed: bool) -> (String, String) {
    let bits = if to == I64 { 64 } else { 32 };
    let (least, above) = match is_signed {
        true => (-(2_f64.powi(bits - 1)), 2_f64.powi(bits - 1)),
        false => (0.0, 2_f64.powi(bits)),
    };
    // The integer below the least one, if a number of this precision can be it; else the next number that can.
    let below = match (is_signed, from, to) {
        (false, ..) => -1.0,
        (true, F64, I32) => least - 1.0,
        (true, F64, _) => least.next_down(),
        (true, ..) => (least as f32).next_down().into(),
    };
    (values::double(below), values::double(above))
}
