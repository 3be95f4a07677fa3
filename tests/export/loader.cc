// Loads a SavedModel as TensorFlow Serving does and runs its signatures, without Python.
//
//   loader MODEL_DIR [SIGNATURE REQUEST_DIR]...
//
// Reads the inputs of each request from REQUEST_DIR/in/NAME and writes its outputs to REQUEST_DIR/out/NAME, each file a
// serialized TensorProto. Prints a line for each request: OK, or the status that it ended with.
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"

namespace {

void Check(const tensorflow::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

tensorflow::Tensor Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  tensorflow::TensorProto proto;
  tensorflow::Tensor tensor;
  if (!proto.ParseFromIstream(&file) || !tensor.FromProto(proto)) throw std::runtime_error("cannot read " + path);
  return tensor;
}

void Write(const tensorflow::Tensor& tensor, const std::string& path) {
  tensorflow::TensorProto proto;
  tensor.AsProtoField(&proto);
  std::ofstream file(path, std::ios::binary);
  if (!proto.SerializeToOstream(&file)) throw std::runtime_error("cannot write " + path);
}

tensorflow::Status Run(const tensorflow::SavedModelBundle& bundle, const tensorflow::SignatureDef& signature,
                       const std::string& folder) {
  std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
  for (const auto& [name, info] : signature.inputs()) inputs.emplace_back(info.name(), Read(folder + "/in/" + name));

  std::vector<std::string> names, fetches;
  for (const auto& [name, info] : signature.outputs()) {
    names.push_back(name);
    fetches.push_back(info.name());
  }
  std::vector<tensorflow::Tensor> outputs;
  const auto status = bundle.session->Run(inputs, fetches, {}, &outputs);
  for (size_t i = 0; i < outputs.size(); ++i) Write(outputs[i], folder + "/out/" + names[i]);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc % 2) {
    std::cerr << "usage: loader MODEL_DIR [SIGNATURE REQUEST_DIR]...\n";
    return 2;
  }
  try {
    tensorflow::SavedModelBundle bundle;
    Check(tensorflow::LoadSavedModel({}, {}, argv[1], {"serve"}, &bundle));
    for (int i = 2; i < argc; i += 2) {
      const auto status = Run(bundle, bundle.GetSignatures().at(argv[i]), argv[i + 1]);
      const std::string text = status.ToString();
      std::cout << text.substr(0, text.find('\n')) << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
