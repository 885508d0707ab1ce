{
  # What an install builds: the addon and the engine in one shared object, build/Release/pongodb.node.
  # -Dpongo_werror=1 turns warnings into errors: our own builds do, a user's compiler must not stop an install.
  "variables": { "pongo_werror%": 0 },
  "targets": [
    {
      "target_name": "pongodb",
      "sources": [
        "<!@(node scripts/install.mjs --sources native/core native/node)"
      ],
      "include_dirs": [
        "native/core",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags!": ["-O2"],
      "cflags": ["-O3", "-fvisibility=hidden", "-pthread"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": [
        "-std=c++20", "-fno-exceptions", "-fno-rtti",
        "-Wall", "-Wextra", "-Wconversion"
      ],
      "ldflags": ["-pthread"],
      "configurations": { "Release": { "defines": ["NDEBUG"] } },
      "conditions": [
        ["pongo_werror==1", { "cflags_cc": ["-Werror"], "xcode_settings": { "GCC_TREAT_WARNINGS_AS_ERRORS": "YES" } }],
        ["OS=='mac'", {
          "xcode_settings": {
            "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
            "CLANG_CXX_LIBRARY": "libc++",
            "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
            "GCC_ENABLE_CPP_RTTI": "NO",
            "GCC_OPTIMIZATION_LEVEL": "3",
            "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
            "MACOSX_DEPLOYMENT_TARGET": "11.0",
            "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wconversion"]
          }
        }]
      ]
    }
  ]
}
