// Loads a SavedModel by TensorFlow's C++ loader, that of TensorFlow Serving,
// and answers requests, without Python.
//
//   client FOLDER REQUESTS ANSWERS LIBRARY...
//
// The libraries hold the operations that are not TensorFlow's own. REQUESTS is
// blobs, each after its length as eight bytes: the name of a signature, the
// number of its inputs, as text, and for each its name and a TensorProto.
// ANSWERS has for each request "ok", the number of outputs and for each its
// name and a TensorProto; or "error" and what was wrong.

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/public/session.h"

namespace {

bool Read(std::istream& in, std::string* blob) {
  uint64_t length;
  if (!in.read(reinterpret_cast<char*>(&length), sizeof length)) return false;
  blob->resize(length);
  return static_cast<bool>(in.read(&(*blob)[0], length));
}

void Write(std::ostream& out, const std::string& blob) {
  const uint64_t length = blob.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out.write(blob.data(), blob.size());
}

using Tensors = std::vector<std::pair<std::string, tensorflow::Tensor>>;

int Fail(const std::string& what) {
  std::cerr << what << std::endl;
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 4; i < argc; ++i) {
    if (!dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL)) return Fail(dlerror());
  }
  tensorflow::SavedModelBundle bundle;
  const auto loaded = tensorflow::LoadSavedModel(
      tensorflow::SessionOptions(), tensorflow::RunOptions(), argv[1],
      {"serve"}, &bundle);
  if (!loaded.ok()) return Fail(std::string(loaded.message()));

  std::ifstream requests(argv[2], std::ios::binary);
  std::ofstream answers(argv[3], std::ios::binary);
  std::string name;
  while (Read(requests, &name)) {
    const auto found = bundle.GetSignatures().find(name);
    if (found == bundle.GetSignatures().end()) {
      return Fail("no signature " + name);
    }
    const auto& signature = found->second;
    std::string count, key, blob;
    Read(requests, &count);
    Tensors inputs;
    for (int i = std::stoi(count); i > 0; --i) {
      tensorflow::TensorProto proto;
      tensorflow::Tensor tensor;
      if (!Read(requests, &key) || !Read(requests, &blob) ||
          !proto.ParseFromString(blob) || !tensor.FromProto(proto)) {
        return Fail("no tensor " + key);
      }
      inputs.emplace_back(signature.inputs().at(key).name(), tensor);
    }
    std::vector<std::string> keys, fetched;
    for (const auto& output : signature.outputs()) {
      keys.push_back(output.first);
      fetched.push_back(output.second.name());
    }
    std::vector<tensorflow::Tensor> outputs;
    const auto status = bundle.session->Run(inputs, fetched, {}, &outputs);
    if (!status.ok()) {
      Write(answers, "error");
      Write(answers, std::string(status.message()));
      continue;
    }
    Write(answers, "ok");
    Write(answers, std::to_string(keys.size()));
    for (size_t i = 0; i < keys.size(); ++i) {
      tensorflow::TensorProto proto;
      outputs[i].AsProtoField(&proto);
      Write(answers, keys[i]);
      Write(answers, proto.SerializeAsString());
    }
  }
  return 0;
}
