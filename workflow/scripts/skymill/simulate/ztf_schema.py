"""Avro schemas of simulated ZTF alert packets, with the published names, types and field order.

Source: the schemas of the ZTF alert archive (github.com/ZwickyTransientFacility/ztf-avro-alert,
and the writer's schema inside every packet of https://ztf.uw.edu/alerts/public/).
"""

VERSIONS = ("3.3", "4.02")
"""The schemas that can be simulated. 4.02 adds forced photometry and has null first in unions."""

_CANDIDATE = """
jd:double fid:int pid:long diffmaglim:float? pdiffimfilename:string? programpi:string?
programid:int candid:long isdiffpos:string tblid:long? nid:int? rcid:int? field:int? xpos:float?
ypos:float? ra:double dec:double magpsf:float sigmapsf:float chipsf:float? magap:float?
sigmagap:float? distnr:float? magnr:float? sigmagnr:float? chinr:float? sharpnr:float? sky:float?
magdiff:float? fwhm:float? classtar:float? mindtoedge:float? magfromlim:float? seeratio:float?
aimage:float? bimage:float? aimagerat:float? bimagerat:float? elong:float? nneg:int? nbad:int?
rb:float? ssdistnr:float? ssmagnr:float? ssnamenr:string? sumrat:float? magapbig:float?
sigmagapbig:float? ranr:double decnr:double sgmag1:float? srmag1:float? simag1:float? szmag1:float?
sgscore1:float? distpsnr1:float? ndethist:int ncovhist:int jdstarthist:double? jdendhist:double?
scorr:double? tooflag:int? objectidps1:long? objectidps2:long? sgmag2:float? srmag2:float?
simag2:float? szmag2:float? sgscore2:float? distpsnr2:float? objectidps3:long? sgmag3:float?
srmag3:float? simag3:float? szmag3:float? sgscore3:float? distpsnr3:float? nmtchps:int rfid:long
jdstartref:double jdendref:double nframesref:int rbversion:string dsnrms:float? ssnrms:float?
dsdiff:float? magzpsci:float? magzpsciunc:float? magzpscirms:float? nmatches:int clrcoeff:float?
clrcounc:float? zpclrcov:float? zpmed:float? clrmed:float? clrrms:float? neargaia:float?
neargaiabright:float? maggaia:float? maggaiabright:float? exptime:float? drb:float?
drbversion:string
"""

_PREVIOUS_CANDIDATE = """
jd:double fid:int pid:long diffmaglim:float? pdiffimfilename:string? programpi:string?
programid:int candid:long? isdiffpos:string? tblid:long? nid:int? rcid:int? field:int? xpos:float?
ypos:float? ra:double? dec:double? magpsf:float? sigmapsf:float? chipsf:float? magap:float?
sigmagap:float? distnr:float? magnr:float? sigmagnr:float? chinr:float? sharpnr:float? sky:float?
magdiff:float? fwhm:float? classtar:float? mindtoedge:float? magfromlim:float? seeratio:float?
aimage:float? bimage:float? aimagerat:float? bimagerat:float? elong:float? nneg:int? nbad:int?
rb:float? ssdistnr:float? ssmagnr:float? ssnamenr:string? sumrat:float? magapbig:float?
sigmagapbig:float? ranr:double? decnr:double? scorr:double? magzpsci:float? magzpsciunc:float?
magzpscirms:float? clrcoeff:float? clrcounc:float? rbversion:string
"""

_FORCED_PHOTOMETRY = """
field:int? rcid:int? fid:int pid:long rfid:long sciinpseeing:float? scibckgnd:float?
scisigpix:float? magzpsci:float? magzpsciunc:float? magzpscirms:float? clrcoeff:float?
clrcounc:float? exptime:float? adpctdif1:float? adpctdif2:float? diffmaglim:float? programid:int
jd:double forcediffimflux:float? forcediffimfluxunc:float? procstatus:string? distnr:float?
ranr:double decnr:double magnr:float? sigmagnr:float? chinr:float? sharpnr:float?
"""


def alert_schema(version: str) -> dict:
    """Return the writer's schema of a packet, one of VERSIONS, as the JSON document in its header.

    The descriptions are placeholders with about the length of real descriptions. So a header has a
    realistic size of about 20 kB, which matters for readers that parse the header of each packet.
    """
    null_first = version.startswith("4")

    def optional(kind: object) -> list:
        return ["null", kind] if null_first else [kind, "null"]

    def record(name: str, table: str) -> dict:
        fields = []
        for entry in table.split():
            field, _, kind = entry.partition(":")
            described = f"{field}: simulated after the ZTF alert schema, which has its meaning"
            if kind.endswith("?"):
                kind = optional(kind.removesuffix("?"))
                fields.append({"name": field, "type": kind, "default": None, "doc": described})
            else:
                fields.append({"name": field, "type": kind, "doc": described})
        return {
            "version": version,
            "type": "record",
            "doc": "avro alert schema",
            "name": f"ztf.alert.{name}",
            "fields": fields,
        }

    def history(name: str, items: dict) -> dict:
        kind = optional({"type": "array", "items": items})
        return {"name": name, "type": kind, "default": None}

    cutout = {
        "version": version,
        "type": "record",
        "doc": "avro alert schema",
        "name": "ztf.alert.cutout",
        "fields": [
            {"name": "fileName", "type": "string"},
            {"name": "stampData", "type": "bytes", "doc": "fits.gz"},
        ],
    }
    histories = [history("prv_candidates", record("prv_candidate", _PREVIOUS_CANDIDATE))]
    if null_first:
        histories.append(history("fp_hists", record("fp_hist", _FORCED_PHOTOMETRY)))
    return {
        "version": version,
        "type": "record",
        "doc": "avro alert schema for ZTF (www.ztf.caltech.edu)",
        "name": "ztf.alert",
        "fields": [
            {"name": "schemavsn", "type": "string", "doc": "schema version used"},
            {"name": "publisher", "type": "string", "doc": "origin of alert packet"},
            {"name": "objectId", "type": "string", "doc": "object identifier or name"},
            {"name": "candid", "type": "long"},
            {"name": "candidate", "type": record("candidate", _CANDIDATE)},
            *histories,
            {"name": "cutoutScience", "type": optional(cutout), "default": None},
            {"name": "cutoutTemplate", "type": optional("ztf.alert.cutout"), "default": None},
            {"name": "cutoutDifference", "type": optional("ztf.alert.cutout"), "default": None},
        ],
    }
