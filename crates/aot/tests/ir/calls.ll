define internal tailcc i32 @m.f1(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  %o4 = getelementptr inbounds i8, ptr %instance, i64 48
  %o5 = load ptr, ptr %o4, !invariant.load !0
  %o6 = getelementptr inbounds i8, ptr %instance, i64 56
  %o7 = load ptr, ptr %o6, !invariant.load !0
  store i32 %p0, ptr %l0
  %t3 = load i32, ptr %l0
  %t8 = call tailcc { i32, i64 } %o5(ptr %o7, i32 %t3)
  %t9 = extractvalue { i32, i64 } %t8, 0
  %t10 = extractvalue { i32, i64 } %t8, 1
  store i32 %t9, ptr %s1
  br label %b2
b2:
  %t11 = load i32, ptr %s1
  ret i32 %t11
trap10:
  call void @sampan.trap(ptr %instance, i32 10)
  unreachable
}

define internal tailcc i32 @m.f2(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  store i32 %p0, ptr %l0
  %t3 = load i32, ptr %l0
  %t4 = call tailcc i32 @m.f1(ptr %instance, i32 %t3)
  store i32 %t4, ptr %s1
  br label %b2
b2:
  %t5 = load i32, ptr %s1
  ret i32 %t5
trap10:
  call void @sampan.trap(ptr %instance, i32 10)
  unreachable
}

define internal tailcc { i32, i64 } @m.f3(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %s2 = alloca i64, align 16
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  %o11 = getelementptr inbounds i8, ptr %instance, i64 32
  %o12 = load ptr, ptr %o11, !invariant.load !0
  %o17 = getelementptr inbounds i8, ptr %instance, i64 112
  %o18 = load i64, ptr %o17, !invariant.load !0
  store i32 %p0, ptr %l0
  %t4 = load i32, ptr %l0
  %t5 = zext i32 1 to i64
  %t6 = getelementptr inbounds i8, ptr %instance, i64 88
  %t7 = load i64, ptr %t6, !alias.scope !9, !noalias !13
  %t8 = icmp uge i64 %t5, %t7
  br i1 %t8, label %trap4, label %b9, !prof !15
b9:
  %t10 = call i64 asm "cmpq $2, $0\0Acmovaeq $3, $0", "=r,0,r,r,~{flags}"(i64 %t5, i64 %t7, i64 0) memory(none) nounwind
  %t13 = getelementptr inbounds ptr, ptr %o12, i64 %t10
  %t14 = load ptr, ptr %t13, !alias.scope !8, !noalias !12
  %t15 = icmp eq ptr %t14, null
  br i1 %t15, label %trap5, label %b16, !prof !15
b16:
  %t19 = getelementptr inbounds i8, ptr %t14, i64 0
  %t20 = load ptr, ptr %t19, !invariant.load !0
  %t21 = getelementptr inbounds i8, ptr %t14, i64 8
  %t22 = load ptr, ptr %t21, !invariant.load !0
  %t23 = getelementptr inbounds i8, ptr %t14, i64 16
  %t24 = load i64, ptr %t23, !invariant.load !0
  %t25 = icmp ne i64 %t24, %o18
  br i1 %t25, label %trap6, label %b26, !prof !15
b26:
  %t27 = musttail call tailcc { i32, i64 } %t20(ptr %t22, i32 %t4)
  ret { i32, i64 } %t27
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

define internal tailcc { i32, i64 } @m.leave0(ptr %instance, i32 %p0) #0 {
  %s1 = alloca [2 x i64], align 16
  %store.at = getelementptr inbounds i8, ptr %instance, i64 8
  %store = load ptr, ptr %store.at, !invariant.load !0
  %limit = load i64, ptr %store, !alias.scope !9, !noalias !13
  %sp = call i64 @llvm.read_register.i64(metadata !14)
  %full = icmp ult i64 %sp, %limit
  br i1 %full, label %trap10, label %enough, !prof !15
enough:
  %t2 = getelementptr inbounds i8, ptr %s1, i64 0
  store i32 %p0, ptr %t2, align 8
  %t3 = getelementptr inbounds i8, ptr %instance, i64 32
  %t4 = load ptr, ptr %t3
  %t5 = call i32 %t4(ptr %instance, ptr %s1)
  %t8 = icmp ne i32 %t5, 0
  br i1 %t8, label %b6, label %b7, !prof !15
b6:
  call void @sampan.trap(ptr %instance, i32 %t5)
  unreachable
b7:
  %t9 = getelementptr inbounds i8, ptr %s1, i64 0
  %t10 = load i32, ptr %t9, align 8
  %t11 = getelementptr inbounds i8, ptr %s1, i64 8
  %t12 = load i64, ptr %t11, align 8
  %t13 = insertvalue { i32, i64 } poison, i32 %t10, 0
  %t14 = insertvalue { i32, i64 } %t13, i64 %t12, 1
  ret { i32, i64 } %t14
trap10:
  call void @sampan.trap(ptr %instance, i32 10)
  unreachable
}
