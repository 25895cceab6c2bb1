define internal tailcc i32 @m.f0(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %o10 = getelementptr inbounds i8, ptr %instance, i64 32
  %o11 = load ptr, ptr %o10, !invariant.load !0
  store i32 %p0, ptr %l0
  %t3 = load i32, ptr %l0
  %t4 = zext i32 %t3 to i64
  %t5 = getelementptr inbounds i8, ptr %instance, i64 56
  %t6 = load i64, ptr %t5, !alias.scope !9, !noalias !13
  %t7 = sub nsw i64 %t6, 19
  %t8 = icmp uge i64 %t4, %t7
  br i1 %t8, label %trap2, label %b9, !prof !15
b9:
  %t12 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t4, i64 %t7, i64 0) memory(none) nounwind
  %t13 = getelementptr inbounds i8, ptr %o11, i64 %t12
  %t14 = getelementptr inbounds i8, ptr %t13, i64 16
  %t15 = load i32, ptr %t14, align 1, !alias.scope !6, !noalias !10
  store i32 %t15, ptr %s1
  br label %b2
b2:
  %t16 = load i32, ptr %s1
  ret i32 %t16
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}

define internal tailcc void @m.f1(ptr %instance, i32 %p0, i32 %p1) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %o11 = getelementptr inbounds i8, ptr %instance, i64 32
  %o12 = load ptr, ptr %o11, !invariant.load !0
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  %t2 = load i32, ptr %l0
  %t3 = load i32, ptr %l1
  %t4 = trunc i32 %t3 to i8
  %t5 = zext i32 %t2 to i64
  %t6 = getelementptr inbounds i8, ptr %instance, i64 56
  %t7 = load i64, ptr %t6, !alias.scope !9, !noalias !13
  %t8 = sub nsw i64 %t7, 0
  %t9 = icmp uge i64 %t5, %t8
  br i1 %t9, label %trap2, label %b10, !prof !15
b10:
  %t13 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t5, i64 %t8, i64 0) memory(none) nounwind
  %t14 = getelementptr inbounds i8, ptr %o12, i64 %t13
  store i8 %t4, ptr %t14, align 1, !alias.scope !6, !noalias !10
  br label %b1
b1:
  ret void
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}
