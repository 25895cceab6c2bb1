define internal tailcc i32 @m.f0(ptr %instance, i32 %p0, i32 %p1) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %l2 = alloca i32
  %s1 = alloca i32, align 16
  %s44 = alloca i64, align 16
  %s46 = alloca i64, align 16
  %o8 = getelementptr inbounds i8, ptr %instance, i64 32
  %o9 = load ptr, ptr %o8, !invariant.load !0
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  store i32 0, ptr %l2
  br label %b3
b5:
  %t6 = load i32, ptr %l2
  %t7 = load i32, ptr %l0
  %t10 = zext i32 %t7 to i64
  %t11 = getelementptr inbounds i8, ptr %o9, i64 %t10
  %t12 = getelementptr inbounds i8, ptr %t11, i64 8
  %t13 = load volatile i32, ptr %t12, align 1, !alias.scope !6, !noalias !10
  %t14 = add i32 %t6, %t13
  store i32 %t14, ptr %l2
  %t15 = load i32, ptr %l0
  %t16 = add i32 %t15, 4
  store i32 %t16, ptr %l0
  %t17 = load i32, ptr %l1
  %t18 = sub i32 %t17, 1
  store i32 %t18, ptr %l1
  %t19 = icmp ne i32 %t18, 0
  br i1 %t19, label %b5, label %b20
b20:
  br label %b4
b3:
  %t21 = load i32, ptr %l0
  %t22 = mul i32 %t21, 1
  %t23 = add i32 %t22, 0
  %t24 = zext i32 %t23 to i64
  %t29 = load i32, ptr %l1
  %t30 = mul i32 %t29, 1
  %t31 = add i32 %t30, -1
  %t32 = zext i32 %t31 to i64
  %t33 = urem i64 %t32, 1
  %t34 = icmp ne i64 %t33, 0
  %t35 = udiv i64 %t32, 1
  %t36 = add nuw nsw i64 %t35, 1
  %t37 = getelementptr inbounds i8, ptr %instance, i64 56
  %t38 = load i64, ptr %t37, !alias.scope !9, !noalias !13
  %t39 = mul nuw i64 %t36, 4
  %t40 = add nuw i64 %t24, %t39
  %t41 = add nuw i64 %t40, 12
  %t42 = icmp ugt i64 %t41, %t38
  %t43 = or i1 %t34, %t42
  br i1 %t43, label %b5, label %b25
b25:
  store i64 0, ptr %s44
  %t45 = getelementptr inbounds i8, ptr %o9, i64 %t24
  store i64 0, ptr %s46
  br label %b28
b28:
  %t47 = load i32, ptr %l2
  %t48 = load i32, ptr %l0
  %t49 = load i64, ptr %s46
  %t50 = getelementptr inbounds i8, ptr %t45, i64 %t49
  %t51 = getelementptr inbounds i8, ptr %t50, i64 8
  %t52 = load i32, ptr %t51, align 1, !alias.scope !6, !noalias !10
  %t53 = add i32 %t47, %t52
  store i32 %t53, ptr %l2
  %t54 = load i32, ptr %l0
  %t55 = load i64, ptr %s46
  %t56 = add i32 %t54, 4
  %t57 = add nsw i64 %t55, 4
  store i64 %t57, ptr %s46
  store i32 %t56, ptr %l0
  %t58 = load i32, ptr %l1
  %t59 = sub i32 %t58, 1
  store i32 %t59, ptr %l1
  %t60 = icmp ne i32 %t59, 0
  %t61 = load i64, ptr %s44
  %t62 = add nuw nsw i64 %t61, 1
  store i64 %t62, ptr %s44
  %t63 = icmp ne i64 %t62, %t36
  br i1 %t63, label %b28, label %b64
b64:
  br label %b65
b65:
  fence syncscope("singlethread") seq_cst
  br label %b4
b4:
  %t66 = load i32, ptr %l2
  store i32 %t66, ptr %s1
  br label %b2
b2:
  %t67 = load i32, ptr %s1
  ret i32 %t67
}

define internal tailcc void @m.f1(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %o6 = getelementptr inbounds i8, ptr %instance, i64 32
  %o7 = load ptr, ptr %o6, !invariant.load !0
  store i32 %p0, ptr %l0
  br label %b2
b4:
  %t5 = load i32, ptr %l0
  %t8 = zext i32 %t5 to i64
  %t9 = getelementptr inbounds i8, ptr %o7, i64 %t8
  %t10 = load volatile i8, ptr %t9, align 1, !alias.scope !6, !noalias !10
  %t11 = zext i8 %t10 to i32
  %t12 = icmp ne i32 %t11, 0
  br i1 %t12, label %b4, label %b13
b13:
  %t14 = load i32, ptr %l0
  %t15 = trunc i32 0 to i8
  %t16 = zext i32 %t14 to i64
  %t17 = getelementptr inbounds i8, ptr %o7, i64 %t16
  store volatile i8 %t15, ptr %t17, align 1, !alias.scope !6, !noalias !10
  br label %b3
b2:
  br label %b4
b3:
  br label %b1
b1:
  ret void
}
