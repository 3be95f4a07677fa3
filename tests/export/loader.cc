// Loads a SavedModel as TensorFlow Serving does and runs parts of its graph, without Python.
//
//   loader MODEL_DIR [REQUEST_DIR]...
//
// A request has a file REQUEST_DIR/in/TENSOR for each tensor that it gives, and an empty REQUEST_DIR/out/TENSOR for each
// that it wants, which is filled unless the request fails. A file is the type and the number of dimensions (int32), the
// dimensions (int64), and the elements; each string after its length (int64). Prints a line for each request: OK, or
// the code of its error and the message.
//
// It uses the C API, which calls the same loader: compiling against the C++ headers takes ten times as long.
#include <dirent.h>

#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"

namespace {

template <typename T>
T Get(std::istream& file) {
  T value;
  file.read(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

template <typename T>
void Put(std::ostream& file, T value) {
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

TF_Tensor* Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const auto type = static_cast<TF_DataType>(Get<int32_t>(file));
  std::vector<int64_t> shape(Get<int32_t>(file));
  int64_t count = 1;
  for (auto& size : shape) count *= size = Get<int64_t>(file);
  const size_t each = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor* tensor = TF_AllocateTensor(type, shape.data(), shape.size(), count * each);
  if (type != TF_STRING) {
    file.read(static_cast<char*>(TF_TensorData(tensor)), count * each);
  } else {
    for (int64_t i = 0; i < count; ++i) {
      std::string bytes(Get<int64_t>(file), '\0');
      file.read(bytes.data(), bytes.size());
      auto* element = static_cast<TF_TString*>(TF_TensorData(tensor)) + i;
      TF_StringInit(element);
      TF_StringCopy(element, bytes.data(), bytes.size());
    }
  }
  if (!file) throw std::runtime_error("cannot read " + path);
  return tensor;
}

void Write(const TF_Tensor* tensor, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  Put<int32_t>(file, TF_TensorType(tensor));
  Put<int32_t>(file, TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); ++i) Put<int64_t>(file, TF_Dim(tensor, i));
  const void* data = TF_TensorData(tensor);
  if (TF_TensorType(tensor) != TF_STRING) {
    file.write(static_cast<const char*>(data), TF_TensorByteSize(tensor));
  } else {
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
      const auto* element = static_cast<const TF_TString*>(data) + i;
      Put<int64_t>(file, TF_StringGetSize(element));
      file.write(TF_StringGetDataPointer(element), TF_StringGetSize(element));
    }
  }
  if (!file) throw std::runtime_error("cannot write " + path);
}

// Names of the files in a folder.
std::vector<std::string> Files(const std::string& folder) {
  std::vector<std::string> names;
  DIR* directory = opendir(folder.c_str());
  if (!directory) throw std::runtime_error("cannot read " + folder);
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') names.push_back(entry->d_name);
  }
  closedir(directory);
  return names;
}

// NAME:INDEX
TF_Output Find(TF_Graph* graph, const std::string& tensor) {
  const auto colon = tensor.find(':');
  TF_Operation* operation = TF_GraphOperationByName(graph, tensor.substr(0, colon).c_str());
  if (!operation) throw std::runtime_error("the graph has no " + tensor);
  return {operation, std::stoi(tensor.substr(colon + 1))};
}

void Run(TF_Session* session, TF_Graph* graph, const std::string& folder, TF_Status* status) {
  std::vector<TF_Output> inputs, wanted;
  std::vector<TF_Tensor*> given;
  for (const auto& name : Files(folder + "/in")) {
    inputs.push_back(Find(graph, name));
    given.push_back(Read(folder + "/in/" + name));
  }
  const auto names = Files(folder + "/out");
  for (const auto& name : names) wanted.push_back(Find(graph, name));
  std::vector<TF_Tensor*> found(wanted.size());
  TF_SessionRun(session, nullptr, inputs.data(), given.data(), inputs.size(), wanted.data(), found.data(),
                wanted.size(), nullptr, 0, nullptr, status);
  if (TF_GetCode(status) != TF_OK) return;
  for (size_t i = 0; i < names.size(); ++i) Write(found[i], folder + "/out/" + names[i]);
}

}  // namespace

int main(int argc, char** argv) {
  TF_Status* status = TF_NewStatus();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Graph* graph = TF_NewGraph();
  const char* tag = "serve";
  TF_Session* session = TF_LoadSessionFromSavedModel(options, nullptr, argv[1], &tag, 1, graph, nullptr, status);
  if (TF_GetCode(status) != TF_OK) {
    std::cerr << TF_Message(status) << "\n";
    return 1;
  }
  try {
    for (int i = 2; i < argc; ++i) {
      Run(session, graph, argv[i], status);
      const std::string message = TF_Message(status);
      std::cout << (TF_GetCode(status) == TF_OK ? "OK" : std::to_string(TF_GetCode(status)) + ": ")
                << message.substr(0, message.find('\n')) << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
