//! Vectors of 128 bits: arithmetic on their lanes. What moves lanes and memory is in `lanes`.
//!
//! A vector is `<2 x i64>` between operations, and what an operation needs inside of it.

use std::fmt;

use super::{Emitter, Value};
use crate::module::Type;
use wasmparser::Operator;

/// How an operation sees a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    I8x16,
    I16x8,
    I32x4,
    I64x2,
    F32x4,
    F64x2,
}

use Shape::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2};

impl Shape {
    pub(super) const fn lanes(self) -> usize {
        match self {
            I8x16 => 16,
            I16x8 => 8,
            I32x4 | F32x4 => 4,
            I64x2 | F64x2 => 2,
        }
    }

    /// The type of a lane.
    pub(super) const fn lane(self) -> &'static str {
        match self {
            I8x16 => "i8",
            I16x8 => "i16",
            I32x4 => "i32",
            I64x2 => "i64",
            F32x4 => "float",
            F64x2 => "double",
        }
    }

    const fn bits(self) -> usize {
        128 / self.lanes()
    }

    /// How the names of intrinsics end.
    pub(super) fn suffix(self) -> String {
        let kind = if matches!(self, F32x4 | F64x2) { 'f' } else { 'i' };
        format!("v{}{kind}{}", self.lanes(), self.bits())
    }

    /// A vector that has a number in each lane.
    pub(super) fn splat(self, number: &str) -> String {
        let lane = format!("{} {number}", self.lane());
        format!("<{}>", vec![lane; self.lanes()].join(", "))
    }

    /// Integers of the same width.
    const fn mask(self) -> Self {
        match self {
            F32x4 => I32x4,
            F64x2 => I64x2,
            other => other,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} x {}>", self.lanes(), self.lane())
    }
}

impl Emitter<'_, '_> {
    pub(super) fn simd(&mut self, operator: &Operator<'_>) -> bool {
        self.lanes(operator)
            || self.vector_integer(operator)
            || self.vector_compare(operator)
            || self.vector_float(operator)
            || self.vector_convert(operator)
            || self.vector_relaxed(operator)
    }

    /// The next operand, seen as this shape.
    pub(super) fn pop_as(&mut self, shape: Shape) -> Value {
        let value = self.pop();
        self.see_as(&value, shape)
    }

    pub(super) fn see_as(&mut self, value: &Value, shape: Shape) -> Value {
        self.vector(format_args!("bitcast <2 x i64> {value} to {shape}"))
    }

    pub(super) fn push_from(&mut self, shape: impl fmt::Display, value: &Value) {
        let value = self.value(Type::V128, format_args!("bitcast {shape} {value} to <2 x i64>"));
        self.push(value);
    }

    /// A vector in whatever shape.
    pub(super) fn vector(&mut self, text: fmt::Arguments<'_>) -> Value {
        self.value(Type::V128, text)
    }

    fn lanes_of_two(&mut self, shape: Shape, instruction: &str) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let value = self.vector(format_args!("{instruction} {shape} {a}, {b}"));
        self.push_from(shape, &value);
    }

    fn intrinsic_of_two(&mut self, shape: Shape, intrinsic: &str) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let suffix = shape.suffix();
        let call = format!("call {shape} @llvm.{intrinsic}.{suffix}({shape} {a}, {shape} {b})");
        let value = self.vector(format_args!("{call}"));
        self.push_from(shape, &value);
    }

    fn intrinsic_of_one(&mut self, shape: Shape, intrinsic: &str, more: &str) {
        let a = self.pop_as(shape);
        let suffix = shape.suffix();
        let value = self.vector(format_args!("call {shape} @llvm.{intrinsic}.{suffix}({shape} {a}{more})"));
        self.push_from(shape, &value);
    }

    fn lanes_shifted(&mut self, shape: Shape, instruction: &str) {
        let (by, a) = (self.pop(), self.pop_as(shape));
        let by = self.value(Type::I32, format_args!("and i32 {by}, {}", shape.bits() - 1));
        let lane = shape.lane();
        let by = match lane {
            "i32" => by,
            "i64" => self.bit(format_args!("zext i32 {by} to i64")),
            lane => self.bit(format_args!("trunc i32 {by} to {lane}")),
        };
        let by = self.splatted(shape, &by);
        let value = self.vector(format_args!("{instruction} {shape} {a}, {by}"));
        self.push_from(shape, &value);
    }

    /// A vector with this value in each lane.
    pub(super) fn splatted(&mut self, shape: Shape, value: &Value) -> Value {
        let (lane, lanes) = (shape.lane(), shape.lanes());
        let first = self.vector(format_args!("insertelement {shape} poison, {lane} {value}, i64 0"));
        self.vector(format_args!(
            "shufflevector {shape} {first}, {shape} poison, <{lanes} x i32> zeroinitializer"
        ))
    }

    fn vector_integer(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::V128Not => {
                let a = self.pop();
                let value = self.vector(format_args!("xor <2 x i64> {a}, <i64 -1, i64 -1>"));
                self.push(value);
            }
            O::V128And => self.lanes_of_two(I64x2, "and"),
            O::V128Or => self.lanes_of_two(I64x2, "or"),
            O::V128Xor => self.lanes_of_two(I64x2, "xor"),
            O::V128AndNot => {
                let (b, a) = (self.pop(), self.pop());
                let b = self.vector(format_args!("xor <2 x i64> {b}, <i64 -1, i64 -1>"));
                let value = self.vector(format_args!("and <2 x i64> {a}, {b}"));
                self.push(value);
            }
            O::V128Bitselect => self.select_bits(),
            O::I8x16Add => self.lanes_of_two(I8x16, "add"),
            O::I16x8Add => self.lanes_of_two(I16x8, "add"),
            O::I32x4Add => self.lanes_of_two(I32x4, "add"),
            O::I64x2Add => self.lanes_of_two(I64x2, "add"),
            O::I8x16Sub => self.lanes_of_two(I8x16, "sub"),
            O::I16x8Sub => self.lanes_of_two(I16x8, "sub"),
            O::I32x4Sub => self.lanes_of_two(I32x4, "sub"),
            O::I64x2Sub => self.lanes_of_two(I64x2, "sub"),
            O::I16x8Mul => self.lanes_of_two(I16x8, "mul"),
            O::I32x4Mul => self.lanes_of_two(I32x4, "mul"),
            O::I64x2Mul => self.lanes_of_two(I64x2, "mul"),
            O::I8x16Neg => self.negate(I8x16),
            O::I16x8Neg => self.negate(I16x8),
            O::I32x4Neg => self.negate(I32x4),
            O::I64x2Neg => self.negate(I64x2),
            O::I8x16Abs => self.intrinsic_of_one(I8x16, "abs", ", i1 false"),
            O::I16x8Abs => self.intrinsic_of_one(I16x8, "abs", ", i1 false"),
            O::I32x4Abs => self.intrinsic_of_one(I32x4, "abs", ", i1 false"),
            O::I64x2Abs => self.intrinsic_of_one(I64x2, "abs", ", i1 false"),
            O::I8x16Popcnt => self.intrinsic_of_one(I8x16, "ctpop", ""),
            O::I8x16MinS => self.intrinsic_of_two(I8x16, "smin"),
            O::I8x16MinU => self.intrinsic_of_two(I8x16, "umin"),
            O::I8x16MaxS => self.intrinsic_of_two(I8x16, "smax"),
            O::I8x16MaxU => self.intrinsic_of_two(I8x16, "umax"),
            O::I16x8MinS => self.intrinsic_of_two(I16x8, "smin"),
            O::I16x8MinU => self.intrinsic_of_two(I16x8, "umin"),
            O::I16x8MaxS => self.intrinsic_of_two(I16x8, "smax"),
            O::I16x8MaxU => self.intrinsic_of_two(I16x8, "umax"),
            O::I32x4MinS => self.intrinsic_of_two(I32x4, "smin"),
            O::I32x4MinU => self.intrinsic_of_two(I32x4, "umin"),
            O::I32x4MaxS => self.intrinsic_of_two(I32x4, "smax"),
            O::I32x4MaxU => self.intrinsic_of_two(I32x4, "umax"),
            O::I8x16AddSatS => self.intrinsic_of_two(I8x16, "sadd.sat"),
            O::I8x16AddSatU => self.intrinsic_of_two(I8x16, "uadd.sat"),
            O::I8x16SubSatS => self.intrinsic_of_two(I8x16, "ssub.sat"),
            O::I8x16SubSatU => self.intrinsic_of_two(I8x16, "usub.sat"),
            O::I16x8AddSatS => self.intrinsic_of_two(I16x8, "sadd.sat"),
            O::I16x8AddSatU => self.intrinsic_of_two(I16x8, "uadd.sat"),
            O::I16x8SubSatS => self.intrinsic_of_two(I16x8, "ssub.sat"),
            O::I16x8SubSatU => self.intrinsic_of_two(I16x8, "usub.sat"),
            O::I8x16Shl => self.lanes_shifted(I8x16, "shl"),
            O::I8x16ShrS => self.lanes_shifted(I8x16, "ashr"),
            O::I8x16ShrU => self.lanes_shifted(I8x16, "lshr"),
            O::I16x8Shl => self.lanes_shifted(I16x8, "shl"),
            O::I16x8ShrS => self.lanes_shifted(I16x8, "ashr"),
            O::I16x8ShrU => self.lanes_shifted(I16x8, "lshr"),
            O::I32x4Shl => self.lanes_shifted(I32x4, "shl"),
            O::I32x4ShrS => self.lanes_shifted(I32x4, "ashr"),
            O::I32x4ShrU => self.lanes_shifted(I32x4, "lshr"),
            O::I64x2Shl => self.lanes_shifted(I64x2, "shl"),
            O::I64x2ShrS => self.lanes_shifted(I64x2, "ashr"),
            O::I64x2ShrU => self.lanes_shifted(I64x2, "lshr"),
            O::I8x16AvgrU => self.average(I8x16),
            O::I16x8AvgrU => self.average(I16x8),
            O::I16x8Q15MulrSatS => self.multiply_q15(),
            _ => return false,
        }
        true
    }

    fn select_bits(&mut self) {
        let (mask, no, yes) = (self.pop(), self.pop(), self.pop());
        let yes = self.vector(format_args!("and <2 x i64> {yes}, {mask}"));
        let rest = self.vector(format_args!("xor <2 x i64> {mask}, <i64 -1, i64 -1>"));
        let no = self.vector(format_args!("and <2 x i64> {no}, {rest}"));
        let value = self.vector(format_args!("or <2 x i64> {yes}, {no}"));
        self.push(value);
    }

    fn negate(&mut self, shape: Shape) {
        let a = self.pop_as(shape);
        let value = self.vector(format_args!("sub {shape} zeroinitializer, {a}"));
        self.push_from(shape, &value);
    }

    /// Half the sum and one, in lanes that are wide enough for it.
    fn average(&mut self, shape: Shape) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let (lanes, wide) = (shape.lanes(), shape.bits() * 2);
        let ty = format!("<{lanes} x i{wide}>");
        let [a, b] = [a, b].map(|value| self.vector(format_args!("zext {shape} {value} to {ty}")));
        let one = format!("<{}>", vec![format!("i{wide} 1"); lanes].join(", "));
        let sum = self.vector(format_args!("add nuw {ty} {a}, {b}"));
        let sum = self.vector(format_args!("add nuw {ty} {sum}, {one}"));
        let half = self.vector(format_args!("lshr {ty} {sum}, {one}"));
        let value = self.vector(format_args!("trunc {ty} {half} to {shape}"));
        self.push_from(shape, &value);
    }

    fn multiply_q15(&mut self) {
        let (b, a) = (self.pop_as(I16x8), self.pop_as(I16x8));
        let [a, b] = [a, b].map(|value| self.vector(format_args!("sext <8 x i16> {value} to <8 x i32>")));
        let product = self.vector(format_args!("mul nsw <8 x i32> {a}, {b}"));
        let splat = |number: &str| format!("<{}>", vec![format!("i32 {number}"); 8].join(", "));
        let sum = self.vector(format_args!("add nsw <8 x i32> {product}, {}", splat("16384")));
        let high = self.vector(format_args!("ashr <8 x i32> {sum}, {}", splat("15")));
        let call = "call <8 x i32> @llvm.smin.v8i32(<8 x i32>";
        let low = self.vector(format_args!("{call} {high}, <8 x i32> {})", splat("32767")));
        let value = self.vector(format_args!("trunc <8 x i32> {low} to <8 x i16>"));
        self.push_from(I16x8, &value);
    }

    fn lanes_compared(&mut self, shape: Shape, instruction: &str) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let bits = self.vector(format_args!("{instruction} {shape} {a}, {b}"));
        let (lanes, mask) = (shape.lanes(), shape.mask());
        let value = self.vector(format_args!("sext <{lanes} x i1> {bits} to {mask}"));
        self.push_from(mask, &value);
    }

    fn vector_compare(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I8x16Eq => self.lanes_compared(I8x16, "icmp eq"),
            O::I8x16Ne => self.lanes_compared(I8x16, "icmp ne"),
            O::I8x16LtS => self.lanes_compared(I8x16, "icmp slt"),
            O::I8x16LtU => self.lanes_compared(I8x16, "icmp ult"),
            O::I8x16GtS => self.lanes_compared(I8x16, "icmp sgt"),
            O::I8x16GtU => self.lanes_compared(I8x16, "icmp ugt"),
            O::I8x16LeS => self.lanes_compared(I8x16, "icmp sle"),
            O::I8x16LeU => self.lanes_compared(I8x16, "icmp ule"),
            O::I8x16GeS => self.lanes_compared(I8x16, "icmp sge"),
            O::I8x16GeU => self.lanes_compared(I8x16, "icmp uge"),
            O::I16x8Eq => self.lanes_compared(I16x8, "icmp eq"),
            O::I16x8Ne => self.lanes_compared(I16x8, "icmp ne"),
            O::I16x8LtS => self.lanes_compared(I16x8, "icmp slt"),
            O::I16x8LtU => self.lanes_compared(I16x8, "icmp ult"),
            O::I16x8GtS => self.lanes_compared(I16x8, "icmp sgt"),
            O::I16x8GtU => self.lanes_compared(I16x8, "icmp ugt"),
            O::I16x8LeS => self.lanes_compared(I16x8, "icmp sle"),
            O::I16x8LeU => self.lanes_compared(I16x8, "icmp ule"),
            O::I16x8GeS => self.lanes_compared(I16x8, "icmp sge"),
            O::I16x8GeU => self.lanes_compared(I16x8, "icmp uge"),
            O::I32x4Eq => self.lanes_compared(I32x4, "icmp eq"),
            O::I32x4Ne => self.lanes_compared(I32x4, "icmp ne"),
            O::I32x4LtS => self.lanes_compared(I32x4, "icmp slt"),
            O::I32x4LtU => self.lanes_compared(I32x4, "icmp ult"),
            O::I32x4GtS => self.lanes_compared(I32x4, "icmp sgt"),
            O::I32x4GtU => self.lanes_compared(I32x4, "icmp ugt"),
            O::I32x4LeS => self.lanes_compared(I32x4, "icmp sle"),
            O::I32x4LeU => self.lanes_compared(I32x4, "icmp ule"),
            O::I32x4GeS => self.lanes_compared(I32x4, "icmp sge"),
            O::I32x4GeU => self.lanes_compared(I32x4, "icmp uge"),
            O::I64x2Eq => self.lanes_compared(I64x2, "icmp eq"),
            O::I64x2Ne => self.lanes_compared(I64x2, "icmp ne"),
            O::I64x2LtS => self.lanes_compared(I64x2, "icmp slt"),
            O::I64x2GtS => self.lanes_compared(I64x2, "icmp sgt"),
            O::I64x2LeS => self.lanes_compared(I64x2, "icmp sle"),
            O::I64x2GeS => self.lanes_compared(I64x2, "icmp sge"),
            O::F32x4Eq => self.lanes_compared(F32x4, "fcmp oeq"),
            O::F32x4Ne => self.lanes_compared(F32x4, "fcmp une"),
            O::F32x4Lt => self.lanes_compared(F32x4, "fcmp olt"),
            O::F32x4Gt => self.lanes_compared(F32x4, "fcmp ogt"),
            O::F32x4Le => self.lanes_compared(F32x4, "fcmp ole"),
            O::F32x4Ge => self.lanes_compared(F32x4, "fcmp oge"),
            O::F64x2Eq => self.lanes_compared(F64x2, "fcmp oeq"),
            O::F64x2Ne => self.lanes_compared(F64x2, "fcmp une"),
            O::F64x2Lt => self.lanes_compared(F64x2, "fcmp olt"),
            O::F64x2Gt => self.lanes_compared(F64x2, "fcmp ogt"),
            O::F64x2Le => self.lanes_compared(F64x2, "fcmp ole"),
            O::F64x2Ge => self.lanes_compared(F64x2, "fcmp oge"),
            _ => return false,
        }
        true
    }

    fn vector_float(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::F32x4Abs => self.intrinsic_of_one(F32x4, "fabs", ""),
            O::F64x2Abs => self.intrinsic_of_one(F64x2, "fabs", ""),
            O::F32x4Sqrt => self.intrinsic_of_one(F32x4, "sqrt", ""),
            O::F64x2Sqrt => self.intrinsic_of_one(F64x2, "sqrt", ""),
            O::F32x4Ceil => self.lanes_rounded(F32x4, "ceil"),
            O::F64x2Ceil => self.lanes_rounded(F64x2, "ceil"),
            O::F32x4Floor => self.lanes_rounded(F32x4, "floor"),
            O::F64x2Floor => self.lanes_rounded(F64x2, "floor"),
            O::F32x4Trunc => self.lanes_rounded(F32x4, "trunc"),
            O::F64x2Trunc => self.lanes_rounded(F64x2, "trunc"),
            O::F32x4Nearest => self.lanes_rounded(F32x4, self.nearest()),
            O::F64x2Nearest => self.lanes_rounded(F64x2, self.nearest()),
            O::F32x4Neg => self.negate_float(F32x4),
            O::F64x2Neg => self.negate_float(F64x2),
            O::F32x4Add => self.lanes_of_two(F32x4, "fadd"),
            O::F64x2Add => self.lanes_of_two(F64x2, "fadd"),
            O::F32x4Sub => self.lanes_of_two(F32x4, "fsub"),
            O::F64x2Sub => self.lanes_of_two(F64x2, "fsub"),
            O::F32x4Mul => self.lanes_of_two(F32x4, "fmul"),
            O::F64x2Mul => self.lanes_of_two(F64x2, "fmul"),
            O::F32x4Div => self.lanes_of_two(F32x4, "fdiv"),
            O::F64x2Div => self.lanes_of_two(F64x2, "fdiv"),
            O::F32x4Min | O::F32x4RelaxedMin => self.lane_extremes(F32x4, "minimum"),
            O::F64x2Min | O::F64x2RelaxedMin => self.lane_extremes(F64x2, "minimum"),
            O::F32x4Max | O::F32x4RelaxedMax => self.lane_extremes(F32x4, "maximum"),
            O::F64x2Max | O::F64x2RelaxedMax => self.lane_extremes(F64x2, "maximum"),
            O::F32x4PMin => self.pseudo(F32x4, false),
            O::F64x2PMin => self.pseudo(F64x2, false),
            O::F32x4PMax => self.pseudo(F32x4, true),
            O::F64x2PMax => self.pseudo(F64x2, true),
            _ => return false,
        }
        true
    }

    fn lane_extremes(&mut self, shape: Shape, intrinsic: &str) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let (ir, bits) = (shape.to_string(), format!("<{} x i1>", shape.lanes()));
        let value = self.extreme_of(&ir, &shape.suffix(), &bits, intrinsic, (&a, &b));
        self.push_from(shape, &value);
    }

    fn lanes_rounded(&mut self, shape: Shape, intrinsic: &str) {
        let a = self.pop_as(shape);
        let (ir, bits) = (shape.to_string(), format!("<{} x i1>", shape.lanes()));
        let value = self.rounded(&ir, &shape.suffix(), &bits, intrinsic, &a);
        self.push_from(shape, &value);
    }

    fn negate_float(&mut self, shape: Shape) {
        let a = self.pop_as(shape);
        let value = self.vector(format_args!("fneg {shape} {a}"));
        self.push_from(shape, &value);
    }

    /// `b < a ? b : a`, or the other way round for the larger one.
    fn pseudo(&mut self, shape: Shape, larger: bool) {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let (first, second) = if larger { (&a, &b) } else { (&b, &a) };
        let bits = self.vector(format_args!("fcmp olt {shape} {first}, {second}"));
        let lanes = shape.lanes();
        let value = self.vector(format_args!("select <{lanes} x i1> {bits}, {shape} {b}, {shape} {a}"));
        self.push_from(shape, &value);
    }

    fn vector_convert(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::F32x4ConvertI32x4S => self.lanes_converted(I32x4, "sitofp", F32x4),
            O::F32x4ConvertI32x4U => self.lanes_converted(I32x4, "uitofp", F32x4),
            O::F64x2ConvertLowI32x4S => self.low_converted(I32x4, "sitofp", F64x2),
            O::F64x2ConvertLowI32x4U => self.low_converted(I32x4, "uitofp", F64x2),
            O::F64x2PromoteLowF32x4 => self.low_converted(F32x4, "fpext", F64x2),
            O::F32x4DemoteF64x2Zero => {
                let a = self.pop_as(F64x2);
                let half = self.vector(format_args!("fptrunc <2 x double> {a} to <2 x float>"));
                self.push_with_zeros("float", F32x4, &half);
            }
            O::I32x4TruncSatF32x4S | O::I32x4RelaxedTruncF32x4S => self.saturated("fptosi"),
            O::I32x4TruncSatF32x4U | O::I32x4RelaxedTruncF32x4U => self.saturated("fptoui"),
            O::I32x4TruncSatF64x2SZero | O::I32x4RelaxedTruncF64x2SZero => self.saturated_half("fptosi"),
            O::I32x4TruncSatF64x2UZero | O::I32x4RelaxedTruncF64x2UZero => self.saturated_half("fptoui"),
            _ => return false,
        }
        true
    }

    fn lanes_converted(&mut self, from: Shape, instruction: &str, to: Shape) {
        let a = self.pop_as(from);
        let value = self.vector(format_args!("{instruction} {from} {a} to {to}"));
        self.push_from(to, &value);
    }

    fn low_converted(&mut self, from: Shape, instruction: &str, to: Shape) {
        let a = self.pop_as(from);
        let half = self.half(from, &a, 0);
        let (lanes, lane) = (from.lanes() / 2, from.lane());
        let value = self.vector(format_args!("{instruction} <{lanes} x {lane}> {half} to {to}"));
        self.push_from(to, &value);
    }

    /// Half of the lanes, from `first` on.
    pub(super) fn half(&mut self, shape: Shape, value: &Value, first: usize) -> Value {
        let lanes = shape.lanes() / 2;
        let which: Vec<String> = (first..first + lanes).map(|lane| format!("i32 {lane}")).collect();
        let which = which.join(", ");
        self.vector(format_args!("shufflevector {shape} {value}, {shape} poison, <{lanes} x i32> <{which}>"))
    }

    fn push_with_zeros(&mut self, lane: &str, shape: Shape, half: &Value) {
        let ty = format!("<2 x {lane}>");
        let value = self.vector(format_args!(
            "shufflevector {ty} {half}, {ty} zeroinitializer, <4 x i32> <i32 0, i32 1, i32 2, i32 3>"
        ));
        self.push_from(shape, &value);
    }

    fn saturated(&mut self, instruction: &str) {
        let a = self.pop_as(F32x4);
        let call = format!("call <4 x i32> @llvm.{instruction}.sat.v4i32.v4f32(<4 x float> {a})");
        let value = self.vector(format_args!("{call}"));
        self.push_from(I32x4, &value);
    }

    fn saturated_half(&mut self, instruction: &str) {
        let a = self.pop_as(F64x2);
        let call = format!("call <2 x i32> @llvm.{instruction}.sat.v2i32.v2f64(<2 x double> {a})");
        let half = self.vector(format_args!("{call}"));
        self.push_with_zeros("i32", I32x4, &half);
    }

    /// Of what relaxed SIMD leaves open, always the same: what is not relaxed would do, and fused multiplication not.
    fn vector_relaxed(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::F32x4RelaxedMadd => self.multiply_add(F32x4, false),
            O::F64x2RelaxedMadd => self.multiply_add(F64x2, false),
            O::F32x4RelaxedNmadd => self.multiply_add(F32x4, true),
            O::F64x2RelaxedNmadd => self.multiply_add(F64x2, true),
            O::I8x16RelaxedLaneselect
            | O::I16x8RelaxedLaneselect
            | O::I32x4RelaxedLaneselect
            | O::I64x2RelaxedLaneselect => self.select_bits(),
            O::I16x8RelaxedQ15mulrS => self.multiply_q15(),
            O::I16x8RelaxedDotI8x16I7x16S => {
                let value = self.dot(I8x16);
                self.push_from(I16x8, &value);
            }
            O::I32x4RelaxedDotI8x16I7x16AddS => {
                let sum = self.pop_as(I32x4);
                let dot = self.dot(I8x16);
                let wide = self.vector(format_args!("sext <8 x i16> {dot} to <8 x i32>"));
                let pairs = self.pairs_added(8, "i32", &wide);
                let value = self.vector(format_args!("add <4 x i32> {pairs}, {sum}"));
                self.push_from(I32x4, &value);
            }
            _ => return false,
        }
        true
    }

    fn multiply_add(&mut self, shape: Shape, negated: bool) {
        let (c, b, a) = (self.pop_as(shape), self.pop_as(shape), self.pop_as(shape));
        let product = self.vector(format_args!("fmul {shape} {a}, {b}"));
        let value = match negated {
            false => self.vector(format_args!("fadd {shape} {product}, {c}")),
            true => self.vector(format_args!("fsub {shape} {c}, {product}")),
        };
        self.push_from(shape, &value);
    }

    /// Products of lanes, each two of which are added, in lanes twice as wide.
    pub(super) fn dot(&mut self, shape: Shape) -> Value {
        let (b, a) = (self.pop_as(shape), self.pop_as(shape));
        let (lanes, wide) = (shape.lanes(), format!("i{}", shape.bits() * 2));
        let ty = format!("<{lanes} x {wide}>");
        let [a, b] = [a, b].map(|value| self.vector(format_args!("sext {shape} {value} to {ty}")));
        let product = self.vector(format_args!("mul {ty} {a}, {b}"));
        self.pairs_added(lanes, &wide, &product)
    }

    /// The sums of each two neighbours.
    pub(super) fn pairs_added(&mut self, lanes: usize, lane: &str, value: &Value) -> Value {
        let (ty, half) = (format!("<{lanes} x {lane}>"), lanes / 2);
        let [even, odd] = [0, 1].map(|first| {
            let which: Vec<String> = (first..lanes).step_by(2).map(|lane| format!("i32 {lane}")).collect();
            let which = which.join(", ");
            self.vector(format_args!("shufflevector {ty} {value}, {ty} poison, <{half} x i32> <{which}>"))
        });
        self.vector(format_args!("add <{half} x {lane}> {even}, {odd}"))
    }
}
