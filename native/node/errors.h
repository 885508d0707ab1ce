// The one place that makes JavaScript errors: a Status becomes what hooks.error(code, message) returns.
//
// Every Throw leaves an exception pending and returns null, so that a callback can `return Throw(...)`. On the thread
// of the environment only. If the hook itself throws, that exception is the pending one.
#ifndef PONGO_NODE_ERRORS_H_
#define PONGO_NODE_ERRORS_H_

#include <node_api.h>

#include <string>
#include <string_view>

#include "format/key.h"
#include "util/status.h"

namespace pongo::node {

class Handle;

// The message of a status: its text, `detail` if there is one, and what the operating system said.
std::string Message(const Status& status, std::string_view detail);

// The error of a code, made by the hook `error_hook`; null with an exception pending when that failed.
napi_value MakeError(napi_env env, napi_value error_hook, Code code, const std::string& message);

napi_value Throw(napi_env env, napi_value error_hook, Code code, const std::string& message);
napi_value Throw(const Handle& handle, const Status& status, std::string_view detail = {});
// As above, naming the key.
napi_value Throw(const Handle& handle, const Status& status, const Key& key);

// A short text for a key: strings quoted and cut, numbers as digits, else the name of the type.
std::string DescribeKey(const Key& key);

}  // namespace pongo::node

#endif  // PONGO_NODE_ERRORS_H_
