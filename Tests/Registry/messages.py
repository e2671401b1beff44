"""Messages of Protobuf whose schemas are compiled when they are met."""
import os
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(__file__), "../../.build/readers"))
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.type import date_pb2, timeofday_pb2
from grpc_tools import protoc
from confluent_kafka.schema_registry.confluent import meta_pb2
from confluent_kafka.schema_registry.confluent.type import decimal_pb2

known = {}


def file_of(module):
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def message(text):
    """The class of a schema's first message; protoc has to take the schema."""
    if text not in known:
        given = descriptor_pb2.FileDescriptorSet()
        from google.protobuf import timestamp_pb2
        for module in (descriptor_pb2, timestamp_pb2, date_pb2, timeofday_pb2, meta_pb2, decimal_pb2):
            given.file.append(file_of(module))
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/given", "wb") as output:
                output.write(given.SerializeToString())
            with open(f"{folder}/schema.proto", "w", encoding="utf-8") as output:
                output.write(text)
            # protoc does not mix what is given with what it finds.
            code = protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_in={folder}/given",
                                f"--descriptor_set_out={folder}/made", f"{folder}/schema.proto"])
            if code != 0:
                sys.exit(f"protoc does not take\n{text}")
            made = descriptor_pb2.FileDescriptorSet()
            with open(f"{folder}/made", "rb") as read:
                made.ParseFromString(read.read())
        pool = descriptor_pool.DescriptorPool()
        for file in given.file:
            pool.Add(file)
        for file in made.file:
            pool.Add(file)
        first = next(iter(pool.FindFileByName("schema.proto").message_types_by_name))
        package = made.file[-1].package
        name = f"{package}.{first}" if package else first
        known[text] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return known[text]


def decimal(value):
    number = int.from_bytes(value.value, "big", signed=True)
    digits = str(abs(number)).rjust(value.scale + 1, "0")
    if value.scale > 0:
        digits = f"{digits[:-value.scale]}.{digits[-value.scale:]}"
    elif value.scale < 0:
        digits += "0" * -value.scale
    if value.precision != len(str(abs(number))):
        sys.exit(f"a decimal of {digits} says that it has {value.precision} digits")
    return ("-" if number < 0 else "") + digits


def plain(value, field=None):
    """A message as dictionaries: bytes as hexadecimal digits, None where nothing is."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if not hasattr(value, "DESCRIPTOR"):
        return value
    if value.DESCRIPTOR.full_name == "confluent.type.Decimal":
        return decimal(value)
    read = {}
    for field in value.DESCRIPTOR.fields:
        content = getattr(value, field.name)
        if field.is_repeated:
            read[field.name] = [plain(item) for item in content]
        elif field.has_presence and not value.HasField(field.name):
            read[field.name] = None
        else:
            read[field.name] = plain(content)
    return read


def read(text, data):
    """The value of bytes behind their frame: nothing in them may be unknown, or longer than it has to be."""
    value = message(text)()
    value.ParseFromString(data)
    if len(value.SerializeToString()) != len(data):
        sys.exit("bytes of no field, or bytes that nobody else would write")
    return value
