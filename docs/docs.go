// Package docs holds the pages of the manual that Alf itself reads from.
package docs

import _ "embed"

// Configure is configure.md: what may stand in the configuration.
//
//go:embed configure.md
var Configure string
