define internal tailcc i32 @m.f0(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %s37 = alloca i64, align 16
  %s42 = alloca i64, align 16
  %o14 = getelementptr inbounds i8, ptr %instance, i64 32
  %o15 = load ptr, ptr %o14, !invariant.load !0
  store i32 %p0, ptr %l0
  br label %b3
b5:
  %t6 = load i32, ptr %l0
  %t7 = add i32 %t6, 1
  store i32 %t7, ptr %l0
  %t8 = zext i32 %t7 to i64
  %t9 = getelementptr inbounds i8, ptr %instance, i64 56
  %t10 = load i64, ptr %t9, !alias.scope !9, !noalias !13
  %t11 = sub nsw i64 %t10, 0
  %t12 = icmp uge i64 %t8, %t11
  br i1 %t12, label %trap2, label %b13, !prof !15
b13:
  %t16 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t8, i64 %t11, i64 0) memory(none) nounwind
  %t17 = getelementptr inbounds i8, ptr %o15, i64 %t16
  %t18 = load i8, ptr %t17, align 1, !alias.scope !6, !noalias !10
  %t19 = zext i8 %t18 to i32
  %t20 = icmp ne i32 %t19, 0
  br i1 %t20, label %b5, label %b21
b21:
  br label %b4
b3:
  %t22 = load i32, ptr %l0
  %t23 = mul i32 %t22, 1
  %t24 = add i32 %t23, 1
  %t25 = zext i32 %t24 to i64
  %t30 = getelementptr inbounds i8, ptr %instance, i64 56
  %t31 = load i64, ptr %t30, !alias.scope !9, !noalias !13
  %t32 = call i64 @llvm.usub.sat.i64(i64 %t31, i64 1)
  %t33 = call i64 @llvm.usub.sat.i64(i64 %t32, i64 %t25)
  %t34 = udiv i64 %t33, 1
  %t35 = call i64 @llvm.umin.i64(i64 4611686018427387904, i64 %t34)
  %t36 = icmp eq i64 %t35, 0
  br i1 %t36, label %b5, label %b26
b26:
  store i64 0, ptr %s37
  %t38 = getelementptr inbounds i8, ptr %instance, i64 56
  %t39 = load i64, ptr %t38, !alias.scope !9, !noalias !13
  %t40 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t25, i64 %t39, i64 0) memory(none) nounwind
  %t41 = getelementptr inbounds i8, ptr %o15, i64 %t40
  store i64 0, ptr %s42
  br label %b29
b27:
  %t43 = load i64, ptr %s37
  %t44 = add nuw nsw i64 %t43, 1
  store i64 %t44, ptr %s37
  %t45 = icmp ne i64 %t44, %t35
  br i1 %t45, label %b29, label %b28
b28:
  br label %b5
b29:
  %t46 = load i32, ptr %l0
  %t47 = load i64, ptr %s42
  %t48 = add i32 %t46, 1
  %t49 = add nsw i64 %t47, 1
  store i64 %t49, ptr %s42
  store i32 %t48, ptr %l0
  %t50 = getelementptr inbounds i8, ptr %t41, i64 %t47
  %t51 = load i8, ptr %t50, align 1, !alias.scope !6, !noalias !10
  %t52 = zext i8 %t51 to i32
  %t53 = icmp ne i32 %t52, 0
  %t54 = load i64, ptr %s37
  %t55 = add nuw nsw i64 %t54, 1
  store i64 %t55, ptr %s37
  %t56 = icmp ne i64 %t55, %t35
  %t59 = and i1 %t53, %t56
  br i1 %t59, label %b29, label %b57
b57:
  br i1 %t53, label %b28, label %b58
b58:
  br label %b4
b4:
  %t60 = load i32, ptr %l0
  store i32 %t60, ptr %s1
  br label %b2
b2:
  %t61 = load i32, ptr %s1
  ret i32 %t61
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}
