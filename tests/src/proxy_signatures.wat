;; A filter that answers a request with what `verify_signature` of the proxy says. The arguments,
;; a `VerifySignatureArguments`, come as hexadecimal digits in the field `arguments`; the answer's
;; body is the `VerifySignatureResult`, and its status 500 when the call fails.
(module
  (import "env" "proxy_get_header_map_value"
    (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function"
    (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 64) "arguments")
  (data (i32.const 96) "verify_signature")
  ;; Where the next piece of memory begins that the proxy asks for.
  (global $free (mut i32) (i32.const 4096))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    (local.get $at))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32))

  (func $digit (param $at i32) (result i32)
    (local $byte i32)
    (local.set $byte (i32.load8_u (local.get $at)))
    (if (result i32) (i32.lt_u (local.get $byte) (i32.const 58))
      (then (i32.sub (local.get $byte) (i32.const 48)))
      (else (i32.sub (local.get $byte) (i32.const 87)))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $from i32) (local $to i32) (local $end i32) (local $start i32)
    ;; One request at a time: nothing of the last one is needed any more.
    (global.set $free (i32.const 4096))
    (drop (call $header (i32.const 0) (i32.const 64) (i32.const 9) (i32.const 0) (i32.const 4)))
    (local.set $from (i32.load (i32.const 0)))
    (local.set $end (i32.add (local.get $from) (i32.load (i32.const 4))))
    (local.set $start (global.get $free))
    (local.set $to (local.get $start))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (i32.store8 (local.get $to)
          (i32.add
            (i32.shl (call $digit (local.get $from)) (i32.const 4))
            (call $digit (i32.add (local.get $from) (i32.const 1)))))
        (local.set $from (i32.add (local.get $from) (i32.const 2)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (br $more)))
    (global.set $free (local.get $to))
    (i32.store (i32.const 12) (i32.const 0))
    (if (call $foreign (i32.const 96) (i32.const 16) (local.get $start)
          (i32.sub (local.get $to) (local.get $start)) (i32.const 8) (i32.const 12))
      (then
        (drop (call $answer (i32.const 500) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
          (i32.const 0) (i32.const 0) (i32.const -1))))
      (else
        (drop (call $answer (i32.const 200) (i32.const 0) (i32.const 0)
          (i32.load (i32.const 8)) (i32.load (i32.const 12))
          (i32.const 0) (i32.const 0) (i32.const -1)))))
    (i32.const 1)))
