define internal tailcc void @m.f0(ptr %instance, i32 %p0, i32 %p1, i32 %p2) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %l2 = alloca i32
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  %o22 = getelementptr inbounds i8, ptr %instance, i64 32
  %o23 = load ptr, ptr %o22, !invariant.load !0
  %o26 = getelementptr inbounds i8, ptr %instance, i64 0
  %o27 = load ptr, ptr %o26, !invariant.load !0
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  store i32 %p2, ptr %l2
  %t2 = load i32, ptr %l0
  %t3 = load i32, ptr %l1
  %t4 = load i32, ptr %l2
  %t5 = zext i32 %t4 to i64
  %t6 = zext i32 %t3 to i64
  %t7 = zext i32 %t2 to i64
  %t11 = icmp ule i64 %t5, 512
  %t12 = getelementptr inbounds i8, ptr %instance, i64 56
  %t13 = load i64, ptr %t12, !alias.scope !9, !noalias !13
  %t14 = add nuw i64 %t7, %t5
  %t15 = icmp ule i64 %t14, %t13
  %t16 = and i1 %t11, %t15
  %t17 = getelementptr inbounds i8, ptr %instance, i64 56
  %t18 = load i64, ptr %t17, !alias.scope !9, !noalias !13
  %t19 = add nuw i64 %t6, %t5
  %t20 = icmp ule i64 %t19, %t18
  %t21 = and i1 %t16, %t20
  br i1 %t21, label %b8, label %b9
b8:
  %t24 = getelementptr inbounds i8, ptr %o23, i64 %t7
  %t25 = getelementptr inbounds i8, ptr %o23, i64 %t6
  call void @llvm.memmove.p0.p0.i64(ptr %t24, ptr %t25, i64 %t5, i1 true), !alias.scope !6, !noalias !10
  br label %b10
b9:
  %t28 = getelementptr inbounds i8, ptr %o27, i64 24
  %t29 = load ptr, ptr %t28, !invariant.load !0
  %t30 = call i32 %t29(ptr %instance, i32 signext 0, i32 signext 0, i64 %t7, i64 %t6, i64 %t5)
  %t33 = icmp ne i32 %t30, 0
  br i1 %t33, label %b31, label %b32, !prof !15
b31:
  call void @sampan.trap(ptr %instance, i32 %t30)
  unreachable
b32:
  br label %b10
b10:
  %t34 = load i32, ptr %l0
  %t35 = load i32, ptr %l1
  %t36 = zext i32 8 to i64
  %t37 = zext i32 %t34 to i64
  %t41 = icmp ule i64 %t36, 512
  %t42 = getelementptr inbounds i8, ptr %instance, i64 56
  %t43 = load i64, ptr %t42, !alias.scope !9, !noalias !13
  %t44 = add nuw i64 %t37, %t36
  %t45 = icmp ule i64 %t44, %t43
  %t46 = and i1 %t41, %t45
  br i1 %t46, label %b38, label %b39
b38:
  %t47 = getelementptr inbounds i8, ptr %o23, i64 %t37
  %t48 = trunc i32 %t35 to i8
  call void @llvm.memset.p0.i64(ptr %t47, i8 %t48, i64 %t36, i1 true), !alias.scope !6, !noalias !10
  br label %b40
b39:
  %t49 = getelementptr inbounds i8, ptr %o27, i64 16
  %t50 = load ptr, ptr %t49, !invariant.load !0
  %t51 = call i32 %t50(ptr %instance, i32 signext 0, i64 %t37, i32 signext %t35, i64 %t36)
  %t54 = icmp ne i32 %t51, 0
  br i1 %t54, label %b52, label %b53, !prof !15
b52:
  call void @sampan.trap(ptr %instance, i32 %t51)
  unreachable
b53:
  br label %b40
b40:
  br label %b1
b1:
  ret void
trap10:
  call void @sampan.trap(ptr %instance, i32 10)
  unreachable
}
