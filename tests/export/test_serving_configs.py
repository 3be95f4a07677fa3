"""TensorFlow Serving can read the files in serving/, and they fit together; docs/serving.md names what is served."""

import http.server
import json
import re
import subprocess
import threading

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from gaze_tf.export.signatures import serving_module, signatures_of
from gaze_tf.models.gaze_model import GazeModel
from tests import tiny
from tests.paths import ROOT

FOLDER = ROOT / 'serving'
COMPOSE = (FOLDER / 'compose.yaml').read_text(encoding='utf-8')

# Of tensorflow_serving/config/monitoring_config.proto and servables/tensorflow/session_bundle_config.proto, which
# tensorflow-serving-api leaves out.
LEFT_OUT = """
name: "left_out.proto" package: "tensorflow.serving" syntax: "proto3" dependency: "google/protobuf/wrappers.proto"
message_type {
  name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "batch_timeout_micros" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "max_enqueued_batches" number: 3 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "num_batch_threads" number: 4 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "thread_pool_name" number: 5 type: TYPE_MESSAGE type_name: ".google.protobuf.StringValue" }
  field { name: "allowed_batch_sizes" number: 6 label: LABEL_REPEATED type: TYPE_INT64 }
  field { name: "pad_variable_length_inputs" number: 7 type: TYPE_BOOL }
}
message_type {
  name: "PrometheusConfig"
  field { name: "enable" number: 1 type: TYPE_BOOL }
  field { name: "path" number: 2 type: TYPE_STRING }
}
message_type {
  name: "MonitoringConfig"
  field { name: "prometheus_config" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.serving.PrometheusConfig" }
}
"""


def message(name):
    """An empty message of LEFT_OUT."""
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pool.Default().FindFileByName('google/protobuf/wrappers.proto')
    pool.AddSerializedFile(wrappers.serialized_pb)
    pool.Add(text_format.Parse(LEFT_OUT, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f'tensorflow.serving.{name}'))()


def parsed(name, into):
    return text_format.Parse((FOLDER / name).read_text(encoding='utf-8'), into)


@pytest.fixture(scope='module')
def model():
    config = parsed('models.config', model_server_config_pb2.ModelServerConfig())
    [only] = config.model_config_list.config
    return only


@pytest.fixture(scope='module')
def services():
    """{name: text} of the services of compose.yaml."""
    parts = re.split(r'\n  (\w+):\n', COMPOSE.partition('\nservices:')[2])
    return dict(zip(parts[1::2], parts[2::2]))


def flags(service):
    return dict(re.findall(r'- --(\w+)=(\S+)', service))


def test_labels_name_versions_that_are_served(model):
    assert model.model_platform == 'tensorflow'
    assert set(model.version_labels) == {'stable', 'canary'}
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)


def test_batches_end_with_the_largest():
    batching = parsed('batching.config', message('BatchingParameters'))
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(set(sizes)) and sizes[-1] == batching.max_batch_size.value
    assert batching.num_batch_threads.value > 0 and batching.max_enqueued_batches.value > 0


def test_metrics_are_on():
    monitoring = parsed('monitoring.config', message('MonitoringConfig')).prometheus_config
    assert monitoring.enable and monitoring.path.startswith('/')


def test_compose_mounts_what_the_flags_name(services, model):
    assert set(services) == {'cpu', 'gpu'}
    assert f':{model.base_path}:ro' in COMPOSE and '- .:/config:ro' in COMPOSE
    for service in services.values():
        files = [value for name, value in flags(service).items() if name.endswith('_file')]
        assert '/config/models.config' in files and '/config/monitoring.config' in files
        for path in files:
            assert (FOLDER / path.removeprefix('/config/')).is_file(), path
        # TensorFlow Serving stops at a file of batching parameters without batching
        assert ('batching_parameters_file' in flags(service)) == (flags(service).get('enable_batching') == 'true')
        assert flags(service)['allow_version_labels_for_unavailable_models'] == 'true'
    assert 'enable_batching' in flags(services['gpu']) and 'enable_batching' not in flags(services['cpu'])


def test_images_are_of_the_version_that_is_tested_against(services):
    # the oldest server that exported models are meant for
    version = re.search(r'tensorflow-serving-api==(\S+)', (ROOT / 'constraints/py311.txt').read_text())[1]
    assert f'image: tensorflow/serving:{version}\n' in services['cpu']
    assert f'image: tensorflow/serving:{version}-gpu\n' in services['gpu']


@pytest.mark.parametrize('state, healthy', [('AVAILABLE', True), ('LOADING', False)])
def test_the_health_check_asks_for_the_state_of_the_model(model, state, healthy):
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({'model_version_status': [{'version': '1', 'state': state}]}).encode())

        def log_message(self, *args):
            pass

    kind, *command = json.loads(re.search(r'    test: (\[.*\])', COMPOSE).group(1))
    assert kind == 'CMD'
    with http.server.HTTPServer(('127.0.0.1', 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        command = [part.replace('8501', str(server.server_port)) for part in command]
        assert (subprocess.run(command, timeout=20).returncode == 0) == healthy
        server.shutdown()
    assert asked == [f'/v1/models/{model.name}']


def test_the_page_on_serving_names_what_is_served():
    page = (FOLDER.parent / 'docs/serving.md').read_text(encoding='utf-8')
    functions = signatures_of(serving_module(GazeModel(tiny.MODEL, discriminators=False)))
    assert all(f'`{name}`' in page for name in functions)
    request = json.loads(re.search(r"printf '(.*)'", page)[1] % 'AA==')
    inputs = functions[request['signature_name']].input_signature
    assert set(request['instances'][0]) == {spec.name for spec in inputs}
    assert all(f"request.inputs['{spec.name}']" in page for spec in inputs)
