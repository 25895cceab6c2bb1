define internal tailcc i32 @m.f0(ptr %instance, i32 %p0) #0 section "sampan_text" {
  %l0 = alloca i32
  %s1 = alloca i32, align 16
  %o6 = getelementptr inbounds i8, ptr %instance, i64 32
  %o7 = load ptr, ptr %o6, !invariant.load !0
  store i32 %p0, ptr %l0
  %t3 = load i32, ptr %l0
  %t4 = zext i32 %t3 to i64
  %t5 = and i64 %t4, 262143
  %t8 = getelementptr inbounds i8, ptr %o7, i64 %t5
  %t9 = getelementptr inbounds i8, ptr %t8, i64 16
  %t10 = load i32, ptr %t9, align 1, !alias.scope !6, !noalias !10
  store i32 %t10, ptr %s1
  br label %b2
b2:
  %t11 = load i32, ptr %s1
  ret i32 %t11
}

define internal tailcc void @m.f1(ptr %instance, i32 %p0, i32 %p1) #0 section "sampan_text" {
  %l0 = alloca i32
  %l1 = alloca i32
  %o7 = getelementptr inbounds i8, ptr %instance, i64 32
  %o8 = load ptr, ptr %o7, !invariant.load !0
  store i32 %p0, ptr %l0
  store i32 %p1, ptr %l1
  %t2 = load i32, ptr %l0
  %t3 = load i32, ptr %l1
  %t4 = trunc i32 %t3 to i8
  %t5 = zext i32 %t2 to i64
  %t6 = and i64 %t5, 262143
  %t9 = getelementptr inbounds i8, ptr %o8, i64 %t6
  store i8 %t4, ptr %t9, align 1, !alias.scope !6, !noalias !10
  br label %b1
b1:
  ret void
}
