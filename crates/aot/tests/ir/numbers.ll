define internal tailcc i32 @m.f0(ptr %instance, i32 %p0, i32 %p1) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %s1 = alloca i32, align 16
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  %t3 = load i32, ptr %l0
  %t4 = load i32, ptr %l1
  %t5 = icmp eq i32 %t4, 0
  br i1 %t5, label %trap7, label %b6, !prof !15
b6:
  %t7 = icmp eq i32 %t4, -1
  %t8 = select i1 %t7, i32 1, i32 %t4
  %t9 = srem i32 %t3, %t8
  store i32 %t9, ptr %s1
  br label %b2
b2:
  %t10 = load i32, ptr %s1
  ret i32 %t10
trap7:
  call void @sampan.trap(ptr %instance, i32 7)
  unreachable
}

define internal tailcc i32 @m.f1(ptr %instance, i32 %p0, i32 %p1) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %s1 = alloca i32, align 16
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  %t3 = load i32, ptr %l0
  %t4 = load i32, ptr %l1
  %t5 = and i32 %t4, 31
  %t6 = shl i32 %t3, %t5
  store i32 %t6, ptr %s1
  br label %b2
b2:
  %t7 = load i32, ptr %s1
  ret i32 %t7
}

define internal tailcc i32 @m.f2(ptr %instance, double %p0) #0 section "sampan_text" {
  %l0 = alloca double
  %s1 = alloca i32, align 16
  store double %p0, ptr %l0
  %t3 = load double, ptr %l0
  %t4 = fcmp uno double %t3, %t3
  br i1 %t4, label %trap9, label %b5, !prof !15
b5:
  %t6 = fcmp ole double %t3, 0xC1E0000000200000
  %t7 = fcmp oge double %t3, 0x41E0000000000000
  %t8 = or i1 %t6, %t7
  br i1 %t8, label %trap8, label %b9, !prof !15
b9:
  %t10 = fptosi double %t3 to i32
  store i32 %t10, ptr %s1
  br label %b2
b2:
  %t11 = load i32, ptr %s1
  ret i32 %t11
trap8:
  call void @sampan.trap(ptr %instance, i32 8)
  unreachable
trap9:
  call void @sampan.trap(ptr %instance, i32 9)
  unreachable
}

define internal tailcc float @m.f3(ptr %instance, float %p0) #0 section "sampan_text" {
  %l0 = alloca float
  %s1 = alloca float, align 16
  store float %p0, ptr %l0
  %t3 = load float, ptr %l0
  %t4 = fcmp uno float %t3, %t3
  %t5 = bitcast float %t3 to i32
  %t6 = or i32 %t5, 4194304
  %t7 = bitcast i32 %t6 to float
  %t8 = select i1 %t4, float %t7, float %t3
  %t9 = fmul float %t8, 0x3FF0000000000000
  store float %t9, ptr %s1
  br label %b2
b2:
  %t10 = load float, ptr %s1
  ret float %t10
}

define internal tailcc float @m.f4(ptr %instance, float %p0, float %p1) #0 section "sampan_text" {
  %l0 = alloca float
  %l1 = alloca float
  %s1 = alloca float, align 16
  store float %p0, ptr %l0
  store float %p1, ptr %l1
  %t3 = load float, ptr %l0
  %t4 = load float, ptr %l1
  %t5 = fcmp uno float %t3, %t4
  %t6 = fadd float %t3, %t4
  %t7 = call nnan float @llvm.minimum.f32(float %t3, float %t4)
  %t8 = select i1 %t5, float %t6, float %t7
  store float %t8, ptr %s1
  br label %b2
b2:
  %t9 = load float, ptr %s1
  ret float %t9
}
