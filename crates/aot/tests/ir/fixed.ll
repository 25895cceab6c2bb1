define internal tailcc i32 @m.f0(ptr %instance) #0 section "sampan_text" {
  %s1 = alloca i32, align 16
  %o3 = getelementptr inbounds i8, ptr %instance, i64 32
  %o4 = load ptr, ptr %o3, !invariant.load !0
  %t5 = getelementptr inbounds i8, ptr %o4, i64 65528
  store i32 7, ptr %t5, align 1, !alias.scope !6, !noalias !10
  %t6 = getelementptr inbounds i8, ptr %o4, i64 65532
  %t7 = load i32, ptr %t6, align 1, !alias.scope !6, !noalias !10
  store i32 %t7, ptr %s1
  br label %b2
b2:
  %t8 = load i32, ptr %s1
  ret i32 %t8
}

define internal tailcc i32 @m.f1(ptr %instance) #0 section "sampan_text" {
  %s1 = alloca i32, align 16
  %o9 = getelementptr inbounds i8, ptr %instance, i64 32
  %o10 = load ptr, ptr %o9, !invariant.load !0
  %t3 = zext i32 65528 to i64
  %t4 = getelementptr inbounds i8, ptr %instance, i64 56
  %t5 = load i64, ptr %t4, !alias.scope !9, !noalias !13
  %t6 = sub nsw i64 %t5, 11
  %t7 = icmp uge i64 %t3, %t6
  br i1 %t7, label %trap2, label %b8, !prof !15
b8:
  %t11 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t3, i64 %t6, i64 0) memory(none) nounwind
  %t12 = getelementptr inbounds i8, ptr %o10, i64 %t11
  %t13 = getelementptr inbounds i8, ptr %t12, i64 8
  %t14 = load i32, ptr %t13, align 1, !alias.scope !6, !noalias !10
  store i32 %t14, ptr %s1
  br label %b2
b2:
  %t15 = load i32, ptr %s1
  ret i32 %t15
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}
