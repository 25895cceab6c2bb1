//! Vectors of 128 bits: what moves, widens and narrows lanes, and takes them from and to memory.

use super::simd::Shape;
use super::{Emitter, Value};
use crate::module::Type;
use Shape::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2};
use wasmparser::{MemArg, Operator};

impl Emitter<'_, '_> {
    pub(super) fn lanes(&mut self, operator: &Operator<'_>) -> bool {
        self.lane_memory(operator) || self.lane_moved(operator) || self.lane_widened(operator)
    }

    fn lane_memory(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::V128Load8x8S { memarg } => self.load_widened(memarg, "<8 x i8>", "sext", I16x8),
            O::V128Load8x8U { memarg } => self.load_widened(memarg, "<8 x i8>", "zext", I16x8),
            O::V128Load16x4S { memarg } => self.load_widened(memarg, "<4 x i16>", "sext", I32x4),
            O::V128Load16x4U { memarg } => self.load_widened(memarg, "<4 x i16>", "zext", I32x4),
            O::V128Load32x2S { memarg } => self.load_widened(memarg, "<2 x i32>", "sext", I64x2),
            O::V128Load32x2U { memarg } => self.load_widened(memarg, "<2 x i32>", "zext", I64x2),
            O::V128Load8Splat { memarg } => self.load_splat(memarg, I8x16),
            O::V128Load16Splat { memarg } => self.load_splat(memarg, I16x8),
            O::V128Load32Splat { memarg } => self.load_splat(memarg, I32x4),
            O::V128Load64Splat { memarg } => self.load_splat(memarg, I64x2),
            O::V128Load32Zero { memarg } => {
                self.load_lane_of(memarg, I32x4, 0, &Value::new(Type::V128, "zeroinitializer"));
            }
            O::V128Load64Zero { memarg } => {
                self.load_lane_of(memarg, I64x2, 0, &Value::new(Type::V128, "zeroinitializer"));
            }
            O::V128Load8Lane { memarg, lane } => self.load_lane(memarg, I8x16, *lane),
            O::V128Load16Lane { memarg, lane } => self.load_lane(memarg, I16x8, *lane),
            O::V128Load32Lane { memarg, lane } => self.load_lane(memarg, I32x4, *lane),
            O::V128Load64Lane { memarg, lane } => self.load_lane(memarg, I64x2, *lane),
            O::V128Store8Lane { memarg, lane } => self.store_lane(memarg, I8x16, *lane),
            O::V128Store16Lane { memarg, lane } => self.store_lane(memarg, I16x8, *lane),
            O::V128Store32Lane { memarg, lane } => self.store_lane(memarg, I32x4, *lane),
            O::V128Store64Lane { memarg, lane } => self.store_lane(memarg, I64x2, *lane),
            _ => return false,
        }
        true
    }

    fn load_widened(&mut self, memarg: &MemArg, narrow: &str, instruction: &str, shape: Shape) {
        let raw = self.load_raw(memarg, Type::I64, "i64");
        let half = self.vector(format_args!("bitcast i64 {raw} to {narrow}"));
        let value = self.vector(format_args!("{instruction} {narrow} {half} to {shape}"));
        self.push_from(shape, &value);
    }

    fn load_splat(&mut self, memarg: &MemArg, shape: Shape) {
        let lane = self.load_raw(memarg, Type::I64, shape.lane());
        let value = self.splatted(shape, &lane);
        self.push_from(shape, &value);
    }

    fn load_lane(&mut self, memarg: &MemArg, shape: Shape, lane: u8) {
        let vector = self.pop();
        self.load_lane_of(memarg, shape, lane, &vector);
    }

    /// Loads one lane into a vector, which is seen as `<2 x i64>`.
    fn load_lane_of(&mut self, memarg: &MemArg, shape: Shape, lane: u8, vector: &Value) {
        let loaded = self.load_raw(memarg, Type::I64, shape.lane());
        let vector = self.see_as(vector, shape);
        self.insert(shape, &vector, &loaded, lane);
    }

    fn insert(&mut self, shape: Shape, vector: &Value, value: &Value, lane: u8) {
        let of = shape.lane();
        let value = self.vector(format_args!("insertelement {shape} {vector}, {of} {value}, i64 {lane}"));
        self.push_from(shape, &value);
    }

    fn extract(&mut self, shape: Shape, lane: u8) -> Value {
        let vector = self.pop_as(shape);
        self.bit(format_args!("extractelement {shape} {vector}, i64 {lane}"))
    }

    fn store_lane(&mut self, memarg: &MemArg, shape: Shape, lane: u8) {
        let value = self.extract(shape, lane);
        let of = shape.lane();
        self.store_raw(memarg, of, &format!("{of} {value}"));
    }

    fn lane_moved(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I8x16Splat => self.splat_narrow(I8x16),
            O::I16x8Splat => self.splat_narrow(I16x8),
            O::I32x4Splat => self.splat(I32x4),
            O::I64x2Splat => self.splat(I64x2),
            O::F32x4Splat => self.splat(F32x4),
            O::F64x2Splat => self.splat(F64x2),
            O::I8x16ExtractLaneS { lane } => self.extract_narrow(I8x16, *lane, "sext"),
            O::I8x16ExtractLaneU { lane } => self.extract_narrow(I8x16, *lane, "zext"),
            O::I16x8ExtractLaneS { lane } => self.extract_narrow(I16x8, *lane, "sext"),
            O::I16x8ExtractLaneU { lane } => self.extract_narrow(I16x8, *lane, "zext"),
            O::I32x4ExtractLane { lane } => self.extract_whole(I32x4, *lane, Type::I32),
            O::I64x2ExtractLane { lane } => self.extract_whole(I64x2, *lane, Type::I64),
            O::F32x4ExtractLane { lane } => self.extract_whole(F32x4, *lane, Type::F32),
            O::F64x2ExtractLane { lane } => self.extract_whole(F64x2, *lane, Type::F64),
            O::I8x16ReplaceLane { lane } => self.replace_narrow(I8x16, *lane),
            O::I16x8ReplaceLane { lane } => self.replace_narrow(I16x8, *lane),
            O::I32x4ReplaceLane { lane } => self.replace(I32x4, *lane),
            O::I64x2ReplaceLane { lane } => self.replace(I64x2, *lane),
            O::F32x4ReplaceLane { lane } => self.replace(F32x4, *lane),
            O::F64x2ReplaceLane { lane } => self.replace(F64x2, *lane),
            O::I8x16Shuffle { lanes } => self.shuffle(lanes),
            O::I8x16Swizzle | O::I8x16RelaxedSwizzle => self.swizzle(),
            O::V128AnyTrue => {
                let vector = self.pop();
                let number = self.bit(format_args!("bitcast <2 x i64> {vector} to i128"));
                let bit = self.bit(format_args!("icmp ne i128 {number}, 0"));
                self.push_bit(&bit);
            }
            O::I8x16AllTrue => self.all_true(I8x16),
            O::I16x8AllTrue => self.all_true(I16x8),
            O::I32x4AllTrue => self.all_true(I32x4),
            O::I64x2AllTrue => self.all_true(I64x2),
            O::I8x16Bitmask => self.bitmask(I8x16),
            O::I16x8Bitmask => self.bitmask(I16x8),
            O::I32x4Bitmask => self.bitmask(I32x4),
            O::I64x2Bitmask => self.bitmask(I64x2),
            _ => return false,
        }
        true
    }

    fn splat(&mut self, shape: Shape) {
        let value = self.pop();
        let value = self.splatted(shape, &value);
        self.push_from(shape, &value);
    }

    /// The next operand, an `i32`, as a lane that is narrower.
    fn pop_narrow(&mut self, shape: Shape) -> Value {
        let value = self.pop();
        self.bit(format_args!("trunc i32 {value} to {}", shape.lane()))
    }

    fn splat_narrow(&mut self, shape: Shape) {
        let value = self.pop_narrow(shape);
        let value = self.splatted(shape, &value);
        self.push_from(shape, &value);
    }

    fn extract_whole(&mut self, shape: Shape, lane: u8, ty: Type) {
        let value = self.extract(shape, lane);
        self.push(Value::new(ty, value.text()));
    }

    fn extract_narrow(&mut self, shape: Shape, lane: u8, instruction: &str) {
        let value = self.extract(shape, lane);
        let value = self.value(Type::I32, format_args!("{instruction} {} {value} to i32", shape.lane()));
        self.push(value);
    }

    fn replace(&mut self, shape: Shape, lane: u8) {
        let (value, vector) = (self.pop(), self.pop_as(shape));
        self.insert(shape, &vector, &value, lane);
    }

    fn replace_narrow(&mut self, shape: Shape, lane: u8) {
        let (value, vector) = (self.pop_narrow(shape), self.pop_as(shape));
        self.insert(shape, &vector, &value, lane);
    }

    fn shuffle(&mut self, lanes: &[u8; 16]) {
        let (b, a) = (self.pop_as(I8x16), self.pop_as(I8x16));
        let which = lanes.map(|lane| format!("i32 {lane}")).join(", ");
        let ty = I8x16;
        let value = self.vector(format_args!("shufflevector {ty} {a}, {ty} {b}, <16 x i32> <{which}>"));
        self.push_from(ty, &value);
    }

    /// Lane by lane: LLVM has no name for it that all targets know.
    fn swizzle(&mut self) {
        let (which, from) = (self.pop_as(I8x16), self.pop_as(I8x16));
        let mut value = Value::new(Type::V128, "zeroinitializer");
        for lane in 0..16 {
            let index = self.bit(format_args!("extractelement <16 x i8> {which}, i64 {lane}"));
            let is_lane = self.bit(format_args!("icmp ult i8 {index}, 16"));
            let index = self.bit(format_args!("and i8 {index}, 15"));
            let found = self.bit(format_args!("extractelement <16 x i8> {from}, i8 {index}"));
            let found = self.bit(format_args!("select i1 {is_lane}, i8 {found}, i8 0"));
            value = self.vector(format_args!("insertelement <16 x i8> {value}, i8 {found}, i64 {lane}"));
        }
        self.push_from(I8x16, &value);
    }

    fn all_true(&mut self, shape: Shape) {
        let vector = self.pop_as(shape);
        let (lanes, zeros) = (shape.lanes(), "zeroinitializer");
        let bits = self.vector(format_args!("icmp eq {shape} {vector}, {zeros}"));
        let number = self.bit(format_args!("bitcast <{lanes} x i1> {bits} to i{lanes}"));
        let bit = self.bit(format_args!("icmp eq i{lanes} {number}, 0"));
        self.push_bit(&bit);
    }

    fn bitmask(&mut self, shape: Shape) {
        let vector = self.pop_as(shape);
        let lanes = shape.lanes();
        let bits = self.vector(format_args!("icmp slt {shape} {vector}, zeroinitializer"));
        let number = self.bit(format_args!("bitcast <{lanes} x i1> {bits} to i{lanes}"));
        let value = self.value(Type::I32, format_args!("zext i{lanes} {number} to i32"));
        self.push(value);
    }

    fn lane_widened(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I16x8ExtendLowI8x16S => self.widen_half(I8x16, 0, "sext", I16x8),
            O::I16x8ExtendLowI8x16U => self.widen_half(I8x16, 0, "zext", I16x8),
            O::I16x8ExtendHighI8x16S => self.widen_half(I8x16, 8, "sext", I16x8),
            O::I16x8ExtendHighI8x16U => self.widen_half(I8x16, 8, "zext", I16x8),
            O::I32x4ExtendLowI16x8S => self.widen_half(I16x8, 0, "sext", I32x4),
            O::I32x4ExtendLowI16x8U => self.widen_half(I16x8, 0, "zext", I32x4),
            O::I32x4ExtendHighI16x8S => self.widen_half(I16x8, 4, "sext", I32x4),
            O::I32x4ExtendHighI16x8U => self.widen_half(I16x8, 4, "zext", I32x4),
            O::I64x2ExtendLowI32x4S => self.widen_half(I32x4, 0, "sext", I64x2),
            O::I64x2ExtendLowI32x4U => self.widen_half(I32x4, 0, "zext", I64x2),
            O::I64x2ExtendHighI32x4S => self.widen_half(I32x4, 2, "sext", I64x2),
            O::I64x2ExtendHighI32x4U => self.widen_half(I32x4, 2, "zext", I64x2),
            O::I16x8ExtMulLowI8x16S => self.multiply_half(I8x16, 0, "sext", I16x8),
            O::I16x8ExtMulLowI8x16U => self.multiply_half(I8x16, 0, "zext", I16x8),
            O::I16x8ExtMulHighI8x16S => self.multiply_half(I8x16, 8, "sext", I16x8),
            O::I16x8ExtMulHighI8x16U => self.multiply_half(I8x16, 8, "zext", I16x8),
            O::I32x4ExtMulLowI16x8S => self.multiply_half(I16x8, 0, "sext", I32x4),
            O::I32x4ExtMulLowI16x8U => self.multiply_half(I16x8, 0, "zext", I32x4),
            O::I32x4ExtMulHighI16x8S => self.multiply_half(I16x8, 4, "sext", I32x4),
            O::I32x4ExtMulHighI16x8U => self.multiply_half(I16x8, 4, "zext", I32x4),
            O::I64x2ExtMulLowI32x4S => self.multiply_half(I32x4, 0, "sext", I64x2),
            O::I64x2ExtMulLowI32x4U => self.multiply_half(I32x4, 0, "zext", I64x2),
            O::I64x2ExtMulHighI32x4S => self.multiply_half(I32x4, 2, "sext", I64x2),
            O::I64x2ExtMulHighI32x4U => self.multiply_half(I32x4, 2, "zext", I64x2),
            O::I16x8ExtAddPairwiseI8x16S => self.add_pairs(I8x16, "sext", I16x8),
            O::I16x8ExtAddPairwiseI8x16U => self.add_pairs(I8x16, "zext", I16x8),
            O::I32x4ExtAddPairwiseI16x8S => self.add_pairs(I16x8, "sext", I32x4),
            O::I32x4ExtAddPairwiseI16x8U => self.add_pairs(I16x8, "zext", I32x4),
            O::I32x4DotI16x8S => {
                let value = self.dot(I16x8);
                self.push_from(I32x4, &value);
            }
            O::I8x16NarrowI16x8S => self.narrow(I16x8, I8x16, "-128", "127"),
            O::I8x16NarrowI16x8U => self.narrow(I16x8, I8x16, "0", "255"),
            O::I16x8NarrowI32x4S => self.narrow(I32x4, I16x8, "-32768", "32767"),
            O::I16x8NarrowI32x4U => self.narrow(I32x4, I16x8, "0", "65535"),
            _ => return false,
        }
        true
    }

    /// Half of the lanes, each as wide as those of another shape.
    fn half_widened(
        &mut self,
        from: Shape,
        value: &Value,
        first: usize,
        instruction: &str,
        to: Shape,
    ) -> Value {
        let half = self.half(from, value, first);
        let (lanes, lane) = (to.lanes(), from.lane());
        self.vector(format_args!("{instruction} <{lanes} x {lane}> {half} to {to}"))
    }

    fn widen_half(&mut self, from: Shape, first: usize, instruction: &str, to: Shape) {
        let a = self.pop_as(from);
        let value = self.half_widened(from, &a, first, instruction, to);
        self.push_from(to, &value);
    }

    fn multiply_half(&mut self, from: Shape, first: usize, instruction: &str, to: Shape) {
        let (b, a) = (self.pop_as(from), self.pop_as(from));
        let [a, b] = [a, b].map(|value| self.half_widened(from, &value, first, instruction, to));
        let value = self.vector(format_args!("mul {to} {a}, {b}"));
        self.push_from(to, &value);
    }

    fn add_pairs(&mut self, from: Shape, instruction: &str, to: Shape) {
        let a = self.pop_as(from);
        let (lanes, wide) = (from.lanes(), to.lane());
        let a = self.vector(format_args!("{instruction} {from} {a} to <{lanes} x {wide}>"));
        let value = self.pairs_added(lanes, wide, &a);
        self.push_from(to, &value);
    }

    /// Lanes of two vectors, held between two numbers, half as wide.
    fn narrow(&mut self, from: Shape, to: Shape, least: &str, most: &str) {
        let (b, a) = (self.pop_as(from), self.pop_as(from));
        let (suffix, least, most) = (from.suffix(), from.splat(least), from.splat(most));
        let [a, b] = [a, b].map(|value| {
            let value =
                self.vector(format_args!("call {from} @llvm.smax.{suffix}({from} {value}, {from} {least})"));
            self.vector(format_args!("call {from} @llvm.smin.{suffix}({from} {value}, {from} {most})"))
        });
        let lanes = to.lanes();
        let which: Vec<String> = (0..lanes).map(|lane| format!("i32 {lane}")).collect();
        let which = which.join(", ");
        let both =
            self.vector(format_args!("shufflevector {from} {a}, {from} {b}, <{lanes} x i32> <{which}>"));
        let value = self.vector(format_args!("trunc <{lanes} x {}> {both} to {to}", from.lane()));
        self.push_from(to, &value);
    }
}
