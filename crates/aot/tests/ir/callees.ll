define internal tailcc void @m.f1(ptr %instance) #0 section "sampan_text" {
  br label %b1
b1:
  ret void
}

define internal tailcc i32 @m.f2(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %s4 = alloca i32, align 16
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  %o15 = getelementptr inbounds i8, ptr %instance, i64 32
  %o16 = load ptr, ptr %o15, !invariant.load !0
  store i32 %p0, ptr %l0
  %t3 = load i32, ptr %l0
  switch i32 %t3, label %b6 [i32 1, label %b7]
b7:
  %t8 = call tailcc i32 @m.f0(ptr %instance, i32 7)
  store i32 %t8, ptr %s4
  br label %b5
b6:
  %t9 = zext i32 %t3 to i64
  %t10 = getelementptr inbounds i8, ptr %instance, i64 120
  %t11 = load i64, ptr %t10, !alias.scope !9, !noalias !13
  %t12 = icmp uge i64 %t9, %t11
  br i1 %t12, label %trap4, label %b13, !prof !15
b13:
  %t14 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t9, i64 %t11, i64 0) memory(none) nounwind
  %t17 = getelementptr inbounds ptr, ptr %o16, i64 %t14
  %t18 = load ptr, ptr %t17, !alias.scope !8, !noalias !12
  %t19 = icmp eq ptr %t18, null
  br i1 %t19, label %trap5, label %b20, !prof !15
b20:
  br label %trap6
b5:
  %t21 = load i32, ptr %s4
  store i32 %t21, ptr %s1
  br label %b2
b2:
  %t22 = load i32, ptr %s1
  ret i32 %t22
trap4:
  call void @sampan.trap(ptr %instance, i32 4)
  unreachable
trap5:
  call void @sampan.trap(ptr %instance, i32 5)
  unreachable
trap6:
  call void @sampan.trap(ptr %instance, i32 6)
  unreachable
trap10:
  call void @sampan.trap(ptr %instance, i32 10)
  unreachable
}
