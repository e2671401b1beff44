// toml++ behind a C interface.
#ifndef CTOML_H
#define CTOML_H
#endif
