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
  %t7 = sub nsw i64 %t6, 11
  %t8 = icmp uge i64 %t4, %t7
  br i1 %t8, label %trap2, label %b9, !prof !15
b9:
  %t12 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t4, i64 %t7, i64 0) memory(none) nounwind
  %t13 = getelementptr inbounds i8, ptr %o11, i64 %t12
  %t14 = getelementptr inbounds i8, ptr %t13, i64 8
  %t15 = load i32, ptr %t14, align 1, !alias.scope !6, !noalias !10
  %t16 = getelementptr inbounds i8, ptr %o11, i64 %t12
  %t17 = load i32, ptr %t16, align 1, !alias.scope !6, !noalias !10
  %t18 = add i32 %t15, %t17
  %t19 = getelementptr inbounds i8, ptr %o11, i64 %t12
  %t20 = getelementptr inbounds i8, ptr %t19, i64 4
  %t21 = load i32, ptr %t20, align 1, !alias.scope !6, !noalias !10
  store i32 %t21, ptr %l0
  %t22 = zext i32 %t21 to i64
  %t23 = getelementptr inbounds i8, ptr %instance, i64 56
  %t24 = load i64, ptr %t23, !alias.scope !9, !noalias !13
  %t25 = sub nsw i64 %t24, 3
  %t26 = icmp uge i64 %t22, %t25
  br i1 %t26, label %trap2, label %b27, !prof !15
b27:
  %t28 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t22, i64 %t25, i64 0) memory(none) nounwind
  %t29 = getelementptr inbounds i8, ptr %o11, i64 %t28
  %t30 = load i32, ptr %t29, align 1, !alias.scope !6, !noalias !10
  %t31 = add i32 %t18, %t30
  store i32 %t31, ptr %s1
  br label %b2
b2:
  %t32 = load i32, ptr %s1
  ret i32 %t32
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}
