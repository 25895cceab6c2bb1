define internal tailcc i32 @m.f0(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %s36 = alloca i64, align 16
  %s38 = alloca i64, align 16
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
  %t11 = sub nuw i64 %t10, 1
  %t12 = icmp ugt i64 %t8, %t11
  br i1 %t12, label %trap2, label %b13, !prof !15
b13:
  %t16 = getelementptr inbounds i8, ptr %o15, i64 %t8
  %t17 = load i8, ptr %t16, align 1, !alias.scope !6, !noalias !10
  %t18 = zext i8 %t17 to i32
  %t19 = icmp ne i32 %t18, 0
  br i1 %t19, label %b5, label %b20
b20:
  br label %b4
b3:
  %t21 = load i32, ptr %l0
  %t22 = mul i32 %t21, 1
  %t23 = add i32 %t22, 1
  %t24 = zext i32 %t23 to i64
  %t29 = getelementptr inbounds i8, ptr %instance, i64 56
  %t30 = load i64, ptr %t29, !alias.scope !9, !noalias !13
  %t31 = call i64 @llvm.usub.sat.i64(i64 %t30, i64 1)
  %t32 = call i64 @llvm.usub.sat.i64(i64 %t31, i64 %t24)
  %t33 = udiv i64 %t32, 1
  %t34 = call i64 @llvm.umin.i64(i64 4611686018427387904, i64 %t33)
  %t35 = icmp eq i64 %t34, 0
  br i1 %t35, label %b5, label %b25
b25:
  store i64 0, ptr %s36
  %t37 = getelementptr inbounds i8, ptr %o15, i64 %t24
  store i64 0, ptr %s38
  br label %b28
b26:
  %t39 = load i64, ptr %s36
  %t40 = add nuw nsw i64 %t39, 1
  store i64 %t40, ptr %s36
  %t41 = icmp ne i64 %t40, %t34
  br i1 %t41, label %b28, label %b27
b27:
  br label %b5
b28:
  %t42 = load i32, ptr %l0
  %t43 = load i64, ptr %s38
  %t44 = add i32 %t42, 1
  %t45 = add nsw i64 %t43, 1
  store i64 %t45, ptr %s38
  store i32 %t44, ptr %l0
  %t46 = getelementptr inbounds i8, ptr %t37, i64 %t43
  %t47 = load i8, ptr %t46, align 1, !alias.scope !6, !noalias !10
  %t48 = zext i8 %t47 to i32
  %t49 = icmp ne i32 %t48, 0
  %t50 = load i64, ptr %s36
  %t51 = add nuw nsw i64 %t50, 1
  store i64 %t51, ptr %s36
  %t52 = icmp ne i64 %t51, %t34
  %t55 = and i1 %t49, %t52
  br i1 %t55, label %b28, label %b53
b53:
  br i1 %t49, label %b27, label %b54
b54:
  br label %b4
b4:
  %t56 = load i32, ptr %l0
  store i32 %t56, ptr %s1
  br label %b2
b2:
  %t57 = load i32, ptr %s1
  ret i32 %t57
trap2:
  call void @sampan.trap(ptr %instance, i32 2)
  unreachable
}
